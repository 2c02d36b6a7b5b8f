// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// audit --prove-readable: what the plugin is asked while a store is read.

#ifndef OKMS_CTL_PROVE_H_
#define OKMS_CTL_PROVE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "audit/prover.h"
#include "audit/store.h"
#include "ctl/sources.h"

namespace CLI {
class App;
}

namespace okms::ctl {

struct ProveOptions {
  bool wanted = false;
  std::string rate = "20";
  std::string provider;
};

// --prove-readable, --rate and --provider.
void AddProve(CLI::App& command, ProveOptions& options);

// Connects to the plugin; nothing where it is not wanted. Errors: kInvalidArgument, a line that
// begins with the option; else the plugin cannot be reached.
absl::StatusOr<std::unique_ptr<audit::Prover>> NewProver(const ProveOptions& options,
                                                         const Places& places);

// A store whose reading ends where the prover does.
class ProvenStore : public audit::Store {
 public:
  // `prover` may be none. Both outlive it.
  ProvenStore(audit::Store& store, const audit::Prover* prover) : store_(store), prover_(prover) {}

  absl::StatusOr<audit::Extent> Open(const audit::Scope& scope) override;
  absl::Status Read(audit::OnValue on_value) override;

 private:
  audit::Store& store_;
  const audit::Prover* const prover_;
};

}  // namespace okms::ctl

#endif  // OKMS_CTL_PROVE_H_
