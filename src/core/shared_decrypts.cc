// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/shared_decrypts.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/debug.h"

namespace okms {

void SharedDecrypts::Locate(const std::string& label, NextDeadline deadline, Done<Located> done) {
  backend_->Locate(label, std::move(deadline), std::move(done));
}

void SharedDecrypts::Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) {
  backend_->Inspect(key_id, deadline, std::move(done));
}

void SharedDecrypts::Encrypt(Way way, const std::string& key_id, Secret plaintext,
                             Deadline deadline, Done<Ciphertext> done) {
  backend_->Encrypt(way, key_id, std::move(plaintext), deadline, std::move(done));
}

void SharedDecrypts::Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext,
                             Deadline deadline, Done<Secret> done) {
  if (way == Way::kDecrypts) {
    Ask({key_id, std::move(ciphertext)}, {deadline, std::move(done)});
  } else {
    backend_->Decrypt(way, key_id, std::move(ciphertext), deadline, std::move(done));
  }
}

void SharedDecrypts::Ask(Question question, Call call) {
  const Deadline now = now_();
  const Deadline deadline = call.deadline;
  const auto fits = [&](const Questions::value_type& asked) {
    const Deadline answered_by = asked.second.front().deadline;
    return answered_by <= deadline && answered_by - now >= (deadline - now) / 2 &&
           asked.second.size() < kMostCalls;
  };
  std::optional<Questions::iterator> asked;
  questions_.With([&](Questions& questions) {
    const auto [first, last] = questions.equal_range(question);
    if (const auto same = std::find_if(first, last, fits); same != last) {
      same->second.push_back(std::move(call));
      return;
    }
    asked = questions.emplace(question, std::vector<Call>());
    (*asked)->second.push_back(std::move(call));
  });
  if (!asked) {
    joined_.Add();
    Debug([]() -> std::string { return "Decrypt: waits for the answer to the same question"; });
    return;
  }
  backend_->Decrypt(
      Way::kDecrypts, question.key_id, std::move(question.ciphertext), deadline,
      [this, asked = *asked](absl::StatusOr<Secret> answer) { Answer(asked, std::move(answer)); });
}

void SharedDecrypts::Answer(Questions::iterator asked, absl::StatusOr<Secret> answer) {
  auto node = questions_.With([&](Questions& questions) { return questions.extract(asked); });
  std::vector<Call>& calls = node.mapped();
  auto answered = calls.end();
  if (absl::IsDeadlineExceeded(answer.status())) {
    // The first to run out of time asks first, so that the others may join it. The one that asked
    // has had all of its time, whatever the clock says.
    std::sort(calls.begin() + 1, calls.end(),
              [](const Call& a, const Call& b) { return a.deadline < b.deadline; });
    answered = std::find_if(calls.begin() + 1, calls.end(), [&, now = now_()](const Call& call) {
      return call.deadline - now >= kTooShort;
    });
    for (auto call = answered; call != calls.end(); ++call) Ask(node.key(), std::move(*call));
  }
  for (auto call = calls.begin(); call != answered; ++call) {
    if (answer.ok()) {
      call->done(Secret(answer->Reveal()));
    } else {
      call->done(answer.status());
    }
  }
}

}  // namespace okms
