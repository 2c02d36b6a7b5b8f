// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The KMS v2 service over gRPC, on connections that somebody else accepted.

#ifndef OKMS_SERVICE_KMS_SERVER_H_
#define OKMS_SERVICE_KMS_SERVER_H_

#include <chrono>
#include <memory>

#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "core/key_manager.h"

namespace okms {

// gRPC's types stay in the implementation. Requests run on gRPC's threads and never block them.
class KmsServer {
 public:
  // Serves `keys` from now on, with `operation_timeout` as the longest that one call may take; a
  // caller's own deadline may be sooner. Both references must outlive the server. Errors:
  // kInternal.
  static absl::StatusOr<std::unique_ptr<KmsServer>> Start(
      KeyManager& keys, const Logger& log, std::chrono::milliseconds operation_timeout);
  virtual ~KmsServer() = default;

  // Takes over a connected stream socket. Thread-safe; does not block.
  virtual void Serve(UniqueFd connection) = 0;

  // Lets the calls under way end, until `deadline`; then cancels them. Blocks until all are done,
  // which their own deadlines bound.
  virtual void Shutdown(Deadline deadline) = 0;
};

}  // namespace okms

#endif  // OKMS_SERVICE_KMS_SERVER_H_
