// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One connection's side of the protocol, without I/O: bytes in, messages out.

#ifndef OKMS_KMIP_CONNECTION_H_
#define OKMS_KMIP_CONNECTION_H_

#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "base/secret.h"
#include "kmip/known_server.h"
#include "kmip/message.h"
#include "kmip/version.h"

namespace okms::kmip {

// What came back for one request.
struct Reply {
  // The KMS could not read the request, which began with a version that was known: negotiation has
  // begun anew. Ask again once idle(): what is asked may depend on the version.
  bool version_refused = false;
  // The KMS does not take several items in one request, or mixes them up.
  bool batch_refused = false;
  // One for each item of the request, in its order; none for those that the KMS left out. Views of
  // the connection's buffer, until Receive or Forget.
  std::vector<std::optional<Response>> items;
};

// Begins with the version that is known, or else negotiates the highest one that both sides know
// among 1.0 to 1.4. Has one request under way at a time. Not thread-safe.
class Connection {
 public:
  // `known` must outlive it. `prove`: asks the KMS for its versions even when one is known, so that
  // it is idle() only after the KMS has answered something.
  Connection(KnownServer& known, bool prove);

  // What is to be sent, if anything, each time that something was done here.
  WipedBytes TakeOutput();

  // Whether it has a version, and nothing under way.
  bool idle() const;
  ProtocolVersion version() const;

  // Begins a request of these items (1 to 16), while it is idle(). Each gets a batch item id of its
  // own, and with several the KMS is told to go on after one that fails (KMIP 1.4 section 6.14).
  // Errors: kInternal.
  absl::Status Ask(std::span<const RequestItem> items);

  // Some bytes came. After an error the connection is of no use: kDataLoss (this is no KMIP, or the
  // reply to another request), kFailedPrecondition (no version with Encrypt and Decrypt in common),
  // or what the KMS refused when it was asked for its versions.
  absl::Status Receive(ByteView bytes);

  // The reply to what was asked, once it is there in full.
  std::optional<Reply> TakeReply();
  // Wipes what came last, which may hold a plaintext; the views of it are then invalid.
  void Forget();

  // The transport ended, for that reason: what is to be learnt from it goes to the known server.
  void Closed(const absl::Status& why);
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_CONNECTION_H_
