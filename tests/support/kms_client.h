// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A client of the KMS v2 service, as kube-apiserver is one: for the tests and tools.

#ifndef OKMS_TESTS_SUPPORT_KMS_CLIENT_H_
#define OKMS_TESTS_SUPPORT_KMS_CLIENT_H_

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace okms::test {

struct StatusReply {
  std::string version;
  std::string healthz;
  std::string key_id;
};

struct Record {
  std::string ciphertext;
  std::string key_id;
  std::map<std::string, std::string> annotations;
};

// Thread-safe. A call waits for the server to come up (as the apiserver's do) until its timeout.
class KmsClient {
 public:
  struct Options {
    std::chrono::milliseconds timeout{3000};  // of a call; the apiserver's default; max: none
    std::string authority = "localhost";      // what the apiserver sends since 1.32
  };

  // `socket`: a path, or "@name" in the abstract namespace.
  KmsClient(const std::string& socket, const Options& options);
  explicit KmsClient(const std::string& socket) : KmsClient(socket, Options()) {}
  ~KmsClient();

  absl::StatusOr<StatusReply> Status();
  absl::StatusOr<Record> Encrypt(const std::string& plaintext, const std::string& uid = "test");
  absl::StatusOr<std::string> Decrypt(const Record& record, const std::string& uid = "test");

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_SUPPORT_KMS_CLIENT_H_
