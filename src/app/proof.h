// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A new way to the KMS, and whether the key works by it.

#ifndef OKMS_APP_PROOF_H_
#define OKMS_APP_PROOF_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/guarded.h"
#include "core/backend.h"

namespace okms {

// Asks all hosts at once, so that one that is silent keeps nobody waiting. For one thread, which
// may destroy backends.
class Proof {
 public:
  using Host = BackendHost;
  // One host at least. `timeout`: of each of the three operations that it takes.
  Proof(std::vector<Host> hosts, const std::string& key_id, std::chrono::milliseconds timeout);

  // OK as soon as one of the hosts has proven the key. Else, when all have said no or nothing, what
  // they said, with the code of the first; none: it is under way.
  std::optional<absl::Status> Verdict() const;

  // The hosts, in their order, for use; what they are still asked goes on.
  std::vector<Host> Take() && { return std::move(hosts_); }

 private:
  // Shared with the answers, which may come when this is gone.
  using Answers = Guarded<std::vector<std::optional<absl::Status>>>;

  std::vector<Host> hosts_;
  const std::shared_ptr<Answers> answers_;
};

}  // namespace okms

#endif  // OKMS_APP_PROOF_H_
