// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One connection's side of the protocol, without I/O: bytes in, messages out.

#ifndef OKMS_KMIP_CONNECTION_H_
#define OKMS_KMIP_CONNECTION_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/debug.h"
#include "base/secret.h"
#include "kmip/known_server.h"
#include "kmip/message.h"
#include "kmip/negotiation.h"
#include "kmip/version.h"

namespace okms::kmip {

// What came back for one request.
struct Reply {
  // The KMS could not read the request, which began with a version that was known: negotiation has
  // begun anew. Ask again once idle(): what is asked may depend on the version.
  bool version_refused = false;
  // The KMS does not take several items in one request, or mixes them up. Close the connection,
  // which is never idle() again: more of an answer may come.
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
  explicit Connection(KnownServer& known, bool prove = false);

  // What is to be sent, if anything, each time that something was done here.
  WipedBytes TakeOutput() { return std::exchange(output_, {}); }

  // Whether it has a version, and nothing under way.
  bool idle() const { return !over_ && !negotiation_ && asked_.empty() && !reply_; }
  ProtocolVersion version() const { return version_; }

  // Begins a request of these items (1 to kMaxItems), while it is idle(). Each gets a batch item id
  // of its own, whatever it has, and with several the KMS is told to go on after one that fails
  // (KMIP 1.4 section 6.13). Errors: kInternal.
  absl::Status Ask(std::span<const RequestItem> items);

  // Some bytes came. After an error the connection is of no use: kDataLoss (this is no KMIP, or the
  // reply to another request), kFailedPrecondition (no version with Encrypt and Decrypt in common),
  // or what the KMS refused when it was asked for its versions.
  absl::Status Receive(ByteView bytes);

  // The reply to what was asked, once it is there in full.
  std::optional<Reply> TakeReply() { return std::exchange(reply_, std::nullopt); }
  // Wipes what came last, which may hold a plaintext; the views of it are then invalid.
  void Forget() {
    reply_.reset();
    WipedBytes().swap(message_);
  }

  // The transport ended, for that reason: what is to be learnt from it goes to the known server.
  // Gives what to say of it: "KMIP Decrypt: kms:5696: closed by the KMS".
  absl::Status Closed(const absl::Status& why);
  // "KMIP Decrypt", for what is under way.
  std::string Doing() const;

 private:
  struct Asked {
    Operation operation;
    std::array<uint8_t, 8> id;
  };

  void Negotiate();
  void Send(std::span<const RequestItem> items);

  absl::Status Read(ByteView bytes);
  absl::Status ReadHeader();
  // What a whole message means.
  absl::Status TakeMessage();
  absl::Status TakeNegotiated();
  absl::Status TakeOne();
  absl::Status TakeBatch();
  absl::Status RefuseBatch(const absl::Status& why);

  absl::StatusOr<Response> DecodeOne();
  // Whether this is the reply to the request with that id: a connection that lost or doubled one
  // would hand a call the answer to another.
  absl::Status CheckId(const Response& response, ByteView id);

  // The end of it, in the middle of something or not.
  absl::Status Lost(const absl::Status& why);
  void Log(const Asked& asked, absl::string_view outcome) const;

  KnownServer& known_;
  ProtocolVersion version_;
  std::optional<Negotiation> negotiation_;  // while it lasts
  bool untried_ = false;                    // has a known version, in which nothing was answered
  bool over_ = false;
  std::vector<Asked> asked_;  // what is under way
  Stopwatch watch_;

  WipedBytes output_;
  WipedBytes input_;      // of the message that comes
  std::size_t size_ = 0;  // of that message; 0: not known yet
  WipedBytes message_;    // the last whole one
  std::optional<Reply> reply_;
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_CONNECTION_H_
