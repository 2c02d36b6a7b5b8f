// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A client of the KMS v2 service, as kube-apiserver is one.

#ifndef OKMS_CLIENT_KMS_CLIENT_H_
#define OKMS_CLIENT_KMS_CLIENT_H_

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace okms::client {

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

// Thread-safe. Each has one connection of its own.
class KmsClient {
 public:
  struct Options {
    std::chrono::milliseconds timeout{3000};  // of a call; the apiserver's default; max: none
    std::string authority = "localhost";      // what the apiserver sends since 1.32
  };

  // `socket`: a path, or "@name" in the abstract namespace. A call waits for the server to come up
  // (as the apiserver's do) until its timeout; a connection that is lost is made anew.
  KmsClient(const std::string& socket, const Options& options);
  explicit KmsClient(const std::string& socket) : KmsClient(socket, Options()) {}
  // Over that connection and no other: once it is lost, all fails with kUnavailable.
  KmsClient(UniqueFd connection, const Options& options);
  ~KmsClient();

  // Errors are those that the server answered, kUnavailable and kDeadlineExceeded; kInternal where
  // the answer is no such message, or holds a text that is no UTF-8.
  absl::StatusOr<StatusReply> Status();
  absl::StatusOr<Record> Encrypt(const std::string& plaintext, const std::string& uid = "test");
  absl::StatusOr<std::string> Decrypt(const Record& record, const std::string& uid = "test");

  // Any method, by its whole path, with any bytes for a message. It is given up after
  // `cancel_after`.
  absl::StatusOr<std::string> Call(
      const std::string& method, const std::string& message,
      std::chrono::milliseconds cancel_after = std::chrono::milliseconds::max());

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The messages that these calls send.
std::string EncryptMessage(const std::string& plaintext, const std::string& uid);
std::string DecryptMessage(const Record& record, const std::string& uid);

inline constexpr char kStatusMethod[] = "/v2.KeyManagementService/Status";
inline constexpr char kEncryptMethod[] = "/v2.KeyManagementService/Encrypt";
inline constexpr char kDecryptMethod[] = "/v2.KeyManagementService/Decrypt";

}  // namespace okms::client

#endif  // OKMS_CLIENT_KMS_CLIENT_H_
