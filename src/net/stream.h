// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The transport as the protocols see it: a byte stream to the KMS, and what opens one.

#ifndef OKMS_NET_STREAM_H_
#define OKMS_NET_STREAM_H_

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/secret.h"

namespace okms {

// One connection. Used by one thread at a time. After any error it is unusable: throw it away.
class Stream {
 public:
  virtual ~Stream() = default;

  // Writes all of `data`. Blocks until it is handed to the kernel, at most until `deadline`.
  // Errors: kUnavailable (reset, closed), kDeadlineExceeded, kCancelled (by the dialer).
  virtual absl::Status Write(ByteView data, Deadline deadline) = 0;

  // Reads between 1 and `buffer.size()` bytes. Blocks until there are some, at most until
  // `deadline`. Errors: kUnavailable (reset, or closed by the peer), kDeadlineExceeded, kCancelled.
  virtual absl::StatusOr<std::size_t> Read(std::span<uint8_t> buffer, Deadline deadline) = 0;

  // Whether a stream that was left idle can still be used: false when the peer has closed it or has
  // sent bytes that nobody asked for. Does not block.
  virtual bool IsQuiet() = 0;
};

// Opens streams to one KMS. Thread-safe.
class Dialer {
 public:
  virtual ~Dialer() = default;

  // Blocks at most until `deadline`, name resolution and handshake included. Errors: kUnavailable
  // (nobody there, or the handshake broke), kDeadlineExceeded, kUnauthenticated (the KMS's
  // certificate is not what we trust), kCancelled.
  virtual absl::StatusOr<std::unique_ptr<Stream>> Dial(Deadline deadline) = 0;

  // From now on, and at once, whatever waits in Dial or in a stream of this dialer ends with
  // kCancelled. Does not block.
  virtual void Cancel() = 0;
};

}  // namespace okms

#endif  // OKMS_NET_STREAM_H_
