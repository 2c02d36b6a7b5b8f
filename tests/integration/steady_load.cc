// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "integration/steady_load.h"

#include "absl/strings/str_cat.h"
#include "integration/wait.h"

namespace okms::test {

void SteadyLoad::Start(std::size_t clients, const std::string& plaintext, const Connect& connect) {
  for (std::size_t i = 0; i < clients; ++i) successes_.emplace_back(0);
  for (std::size_t i = 0; i < clients; ++i) {
    threads_.emplace_back([this, i, plaintext, connect] {
      const std::unique_ptr<KmsClient> kms = connect();
      while (!stop_) Calls(i, *kms, plaintext);
    });
  }
}

void SteadyLoad::Stop() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void SteadyLoad::Calls(std::size_t client, KmsClient& kms, const std::string& plaintext) {
  Note(client, kms.Status().status());
  const auto record = kms.Encrypt(plaintext);
  Note(client, record.status());
  if (!record.ok()) return;
  const auto back = kms.Decrypt(*record);
  Note(client, back.status());
  if (back.ok() && *back != plaintext) Note(client, absl::DataLossError("another plaintext"));
}

void SteadyLoad::Note(std::size_t client, const absl::Status& status) {
  if (status.ok()) {
    ++successes_[client];
    return;
  }
  const std::lock_guard lock(mutex_);
  failures_.push_back(absl::StrCat(client, ": ", status.ToString()));
}

bool SteadyLoad::AllServed(int answers) {
  std::vector<int> enough;
  for (const auto& successes : successes_) enough.push_back(successes + answers);
  return WaitUntil([&] {
    for (std::size_t i = 0; i < enough.size(); ++i) {
      if (successes_[i] < enough[i]) return false;
    }
    return true;
  });
}

std::vector<std::string> SteadyLoad::Failures() {
  const std::lock_guard lock(mutex_);
  return failures_;
}

}  // namespace okms::test
