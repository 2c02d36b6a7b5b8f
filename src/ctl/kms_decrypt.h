// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Decrypt, as kube-apiserver calls it.

#ifndef OKMS_CTL_KMS_DECRYPT_H_
#define OKMS_CTL_KMS_DECRYPT_H_

#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "audit/prover.h"
#include "net/socket_address.h"

namespace okms::ctl {

// Thread-safe.
class KmsDecrypt {
 public:
  explicit KmsDecrypt(SocketAddress plugin);
  ~KmsDecrypt();

  // Connects, so that a call finds a connection. Errors: as of Connect.
  absl::Status Open();

  // Connects anew, once each, where the plugin has hung up and where it answers kUnavailable, as it
  // does at its end. Blocks for some seconds at the longest, as kube-apiserver. Errors: as of
  // Connect; kPermissionDenied the plugin hung up twice.
  absl::StatusOr<audit::Unwrapped> operator()(const audit::Wrapped& wrapped);

 private:
  struct Connection;

  // Another one than `bad`.
  absl::StatusOr<std::shared_ptr<Connection>> Connected(const Connection* bad);

  const SocketAddress plugin_;
  std::mutex mutex_;
  std::shared_ptr<Connection> connection_;
};

}  // namespace okms::ctl

#endif  // OKMS_CTL_KMS_DECRYPT_H_
