// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The plugin that is measured, as its clients see it.

#ifndef OKMS_TESTS_BENCH_PLUGIN_H_
#define OKMS_TESTS_BENCH_PLUGIN_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "support/kms_client.h"

namespace okms::test {

// As kube-apiserver makes one for all that it writes until it restarts, and the record of it.
struct Seed {
  std::string plaintext;
  Record record;
};

// An error also when it becomes another seed.
absl::Status Decrypt(KmsClient& client, const Seed& seed);

// Thread-safe.
class Plugin {
 public:
  // `timeout` bounds a call. Throws std::runtime_error when nobody listens.
  Plugin(const std::string& socket, std::size_t connections, std::chrono::milliseconds timeout);

  // Who listens.
  pid_t process() const { return process_; }

  // The connections in turn.
  KmsClient& client(std::size_t number) { return *clients_[number % clients_.size()]; }

  // So many seeds, no two the same. A plugin whose KMS has just come back has 30 seconds to
  // recover. Throws std::runtime_error with what it said when it does not encrypt.
  std::vector<Seed> MakeSeeds(std::size_t count);

 private:
  const pid_t process_;
  std::vector<std::unique_ptr<KmsClient>> clients_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_BENCH_PLUGIN_H_
