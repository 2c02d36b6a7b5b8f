// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/prove.h"

#include <utility>

#include <CLI/CLI.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "config/help_text.h"
#include "ctl/kms_decrypt.h"

namespace okms::ctl {
namespace {

constexpr double kSlowest = 0.01;  // calls a second
constexpr double kFastest = 1000;

absl::StatusOr<double> RateOf(const std::string& text) {
  double rate = 0;
  if (absl::SimpleAtod(text, &rate) && rate >= kSlowest && rate <= kFastest) return rate;
  return absl::InvalidArgumentError(
      absl::StrCat("--rate ", Printable(text), ": no number of calls a second from 0.01 to 1000"));
}

}  // namespace

void AddProve(CLI::App& command, ProveOptions& options) {
  command.add_flag("--prove-readable", options.wanted,
                   Wrapped("Have the plugin decrypt each different seed of KMS v2, once, as a "
                           "kube-apiserver that starts does, and forget what it answers"));
  command.add_option("--rate", options.rate,
                     Wrapped("How many Decrypts a second --prove-readable asks for at the most, 4 "
                             "at a time. Default: 20"));
  command.add_option("--provider", options.provider,
                     Wrapped("Prove what this provider of the encryption-provider-config has "
                             "encrypted alone. Default: all of KMS v2"));
}

absl::StatusOr<std::unique_ptr<audit::Prover>> NewProver(const ProveOptions& options,
                                                         const Places& places) {
  OKMS_ASSIGN_OR_RETURN(const double rate, RateOf(options.rate));
  if (!options.wanted) {
    if (options.provider.empty()) return nullptr;
    return absl::InvalidArgumentError("--provider is for --prove-readable; give both");
  }
  OKMS_ASSIGN_OR_RETURN(SocketAddress socket, SocketOf(places));
  const auto decrypt = std::make_shared<KmsDecrypt>(std::move(socket));
  OKMS_RETURN_IF_ERROR(decrypt->Open());
  return std::make_unique<audit::Prover>(
      [decrypt](const audit::Wrapped& wrapped) { return (*decrypt)(wrapped); }, rate,
      options.provider);
}

absl::StatusOr<audit::Extent> ProvenStore::Open(const audit::Scope& scope) {
  return store_.Open(scope);
}

absl::Status ProvenStore::Read(audit::OnValue on_value) {
  return store_.Read([&](const audit::StoredValue& value) {
    OKMS_RETURN_IF_ERROR(on_value(value));
    return prover_ == nullptr ? absl::OkStatus() : prover_->Stopped();
  });
}

}  // namespace okms::ctl
