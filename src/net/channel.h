// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The transport as the protocols see it: connections to the KMS that are opened, written to, and
// tell what becomes of them. All of it is of the I/O loop's turn, and nothing blocks.

#ifndef OKMS_NET_CHANNEL_H_
#define OKMS_NET_CHANNEL_H_

#include <chrono>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/secret.h"

namespace okms {

// Who asked and had no answer for so long was not answered; a caller may have less time than that.
inline constexpr std::chrono::seconds kSilence{1};

// An open connection. Its end closes it, which also is how to give up what is awaited on it.
class Channel {
 public:
  // What becomes of it. It is told from the loop, never from within a call of the channel's; the
  // channel may be destroyed meanwhile.
  class Listener {
   public:
    virtual ~Listener() = default;
    // At least one byte. The view is wiped when this returns.
    virtual void Received(ByteView bytes) = 0;
    // The last that is told. Errors: kUnavailable (reset, closed by the KMS), kUnauthenticated (it
    // does not take our certificate, which with TLS 1.3 it says after the handshake).
    virtual void Closed(absl::Status why) = 0;
  };

  virtual ~Channel() = default;

  // From now on. Once, before anything is sent.
  virtual void SetListener(Listener* listener) = 0;
  // Writes all of it, as fast as the KMS takes it. An error comes as Closed.
  virtual void Send(ByteView bytes) = 0;
  // False when it should not be used for another request though it is open: our certificates have
  // ended meanwhile.
  virtual bool IsFresh() const = 0;

  // The KMS answered a request at this address, or did not for a long time: what comes first, and
  // what last, when the next channel is opened.
  virtual void Answered() = 0;
  virtual void Silent() = 0;
  // What it comes to when an answer is awaited for too long: kDeadlineExceeded, which says of whom.
  virtual absl::Status TooLate() const = 0;
};

// A channel that is being opened. Its end gives it up.
class Opening {
 public:
  virtual ~Opening() = default;
  // What it comes to when it is not waited for any longer: kDeadlineExceeded, which says what did
  // not come, and of whom; or what an address answered meanwhile that is the reason.
  virtual absl::Status TooLate() const = 0;
};

// Opens channels to one KMS. Must outlive its channels and openings.
class Connector {
 public:
  using Opened = absl::AnyInvocable<void(absl::StatusOr<std::unique_ptr<Channel>>)>;

  virtual ~Connector() = default;

  // Resolution of the name, connection and handshake, by `deadline`. `opened` is called once, from
  // the loop and never before this returns, unless the opening is destroyed before; which it may be
  // within `opened`. Errors: kUnavailable (nobody there, or the handshake broke),
  // kDeadlineExceeded, kUnauthenticated (the KMS's certificate is not what we trust, or it does not
  // take ours).
  virtual std::unique_ptr<Opening> Open(Deadline deadline, Opened opened) = 0;

  // Whether there is another address to try than that of this channel, as far as is known.
  virtual bool HasSeveralAddresses() const = 0;
};

}  // namespace okms

#endif  // OKMS_NET_CHANNEL_H_
