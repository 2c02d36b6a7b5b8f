// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The KMS v2 service over gRPC, and grpc.health.v1, on connections that somebody else accepted.

#ifndef OKMS_SERVICE_KMS_SERVER_H_
#define OKMS_SERVICE_KMS_SERVER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "core/key_manager.h"
#include "service/call_counters.h"

namespace okms {

struct ServiceStats {
  std::vector<MethodStats> methods;  // all of them; without the calls that we make to ourselves
  std::size_t under_way = 0;         // calls
  uint64_t other_calls = 0;          // refused: they are not of KMS v2
  std::size_t connections = 0;       // open
  uint64_t served = 0;               // connections so far
  uint64_t folded = 0;               // failures that were counted in the log, not written
};

// gRPC's types stay in the implementation. Requests run on gRPC's threads and never block them.
class KmsServer {
 public:
  // Serves `keys` from now on, with `operation_timeout` as the longest that one call may take; a
  // caller's own deadline may be sooner. Both references must outlive the server. Errors:
  // kInternal.
  static absl::StatusOr<std::unique_ptr<KmsServer>> Start(
      KeyManager& keys, const Logger& log, std::chrono::milliseconds operation_timeout);
  virtual ~KmsServer() = default;

  // Raises the limit of open files, if need be, to what all connections that may be served at a
  // time take, and the rest of the plugin. Errors: kFailedPrecondition when that may not be; it
  // serves all the same, until none is left.
  static absl::Status ReserveDescriptors();

  // Takes over a connected unix socket, and closes it when its peer's user has as many as it may
  // have; whether it is served. Does not block. Called by one thread, as are those below.
  virtual bool Serve(UniqueFd connection) = 0;

  // By when the first of the calls without an answer is to have one; the end of time when all have.
  virtual Deadline CallDeadline() const = 0;

  // Calls the service over a connection of our own, unless such a call is under way; by when it is
  // to be answered. That it is shows that gRPC still delivers calls and answers.
  virtual Deadline ProbeDeadline() = 0;

  // What it has done so far.
  virtual ServiceStats Stats() = 0;

  // What is to be done from time to time; when to call again.
  virtual Deadline Tick() = 0;

  // Asks the peers to leave, serves their calls until they have left or are idle, and ends. What is
  // still under way at `deadline` is cancelled. Connections that come meanwhile are nobody's: leave
  // them in the listening socket.
  virtual void Shutdown(Deadline deadline) = 0;
};

}  // namespace okms

#endif  // OKMS_SERVICE_KMS_SERVER_H_
