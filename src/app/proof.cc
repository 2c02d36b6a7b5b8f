// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/proof.h"

#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/deadline.h"
#include "base/status.h"
#include "core/key_check.h"

namespace okms {

Proof::Proof(std::vector<Host> hosts, const std::string& key_id, std::chrono::milliseconds timeout)
    : hosts_(std::move(hosts)), answers_(std::make_shared<Answers>(hosts_.size())) {
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    CheckKey(
        *hosts_[i].backend, key_id, /*known=*/std::nullopt, /*must_prove=*/true,
        [timeout] { return Clock::now() + timeout; },
        [answers = answers_, i](const KeyReport& report) {
          answers->With([&](auto& statuses) { statuses[i] = report.status; });
        });
  }
}

std::optional<absl::Status> Proof::Verdict() const {
  const auto answers = answers_->With([](const auto& statuses) { return statuses; });
  bool all = true;
  std::vector<std::string> errors;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i] && answers[i]->ok()) return absl::OkStatus();
    all = all && answers[i];
    if (answers[i]) errors.push_back(absl::StrCat(hosts_[i].name, ": ", answers[i]->message()));
  }
  if (!all) return std::nullopt;
  if (errors.size() == 1) return answers[0];
  return absl::Status(answers[0]->code(), absl::StrJoin(errors, "; "));
}

}  // namespace okms
