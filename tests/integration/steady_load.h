// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Clients that call without pause, while something is done to the plugin or to its KMS.

#ifndef OKMS_TESTS_INTEGRATION_STEADY_LOAD_H_
#define OKMS_TESTS_INTEGRATION_STEADY_LOAD_H_

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "support/kms_client.h"

namespace okms::test {

// Nothing that failed is repeated: each call counts.
class SteadyLoad {
 public:
  using Connect = std::function<std::unique_ptr<KmsClient>()>;

  ~SteadyLoad() { Stop(); }

  // Each client has a connection and one call under way, all the time.
  void Start(std::size_t clients, const std::string& plaintext, const Connect& connect);
  void Stop();

  // Until each client has had so many answers from now on: Status, Encrypt and Decrypt in turn.
  bool AllServed(int answers);

  // "CLIENT: WHY", in the order of time.
  std::vector<std::string> Failures();

 private:
  void Calls(std::size_t client, KmsClient& kms, const std::string& plaintext);
  void Note(std::size_t client, const absl::Status& status);

  std::atomic<bool> stop_ = false;
  std::deque<std::atomic<int>> successes_;  // of each client
  std::mutex mutex_;                        // guards failures_
  std::vector<std::string> failures_;
  std::vector<std::thread> threads_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_INTEGRATION_STEADY_LOAD_H_
