// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A KMIP session: one connection with a negotiated version, one request at a time.

#ifndef OKMS_KMIP_SESSION_H_
#define OKMS_KMIP_SESSION_H_

#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "absl/status/statusor.h"
#include "kmip/known_server.h"
#include "kmip/message.h"
#include "kmip/version.h"
#include "net/stream.h"

namespace okms::kmip {

// Used by one thread at a time.
class Session {
 public:
  // Dials, and has the version that is known, or else negotiates the highest one that both sides
  // know among 1.0 to 1.4. Takes what it dials off `dials`, which must not be zero. Blocks at most
  // until `deadline`. Errors: the dialer's; kFailedPrecondition when the KMS has no version with
  // Encrypt and Decrypt in common with us; kDataLoss; what the KMS refused. `known` must outlive
  // the session.
  static absl::StatusOr<std::unique_ptr<Session>> Open(Dialer& dialer, KnownServer& known,
                                                       int& dials, Deadline deadline);

  ProtocolVersion version() const { return version_; }

  // False after an error of the connection itself (closed, late, or bytes that make no sense):
  // throw the session away. A refusal by the KMS leaves it usable.
  bool usable() const { return usable_; }

  // Whether the KMS could not read the first request of a session that began with a known version.
  // Then Renegotiate, and do the work again: it may depend on the version.
  bool version_refused() const { return version_refused_; }
  absl::Status Renegotiate(Deadline deadline);

  // Wipes the last answer, which may hold a plaintext; the views of it are then invalid.
  void Forget() { WipedBytes().swap(reply_); }

  // Whether an idle session is still good to use. Does not block.
  bool IsQuiet() { return usable_ && stream_->IsQuiet(); }

  // Sends one request and waits for its answer, at most until `deadline`. What is returned are
  // views that the next call invalidates. Errors: the stream's; kDataLoss; what the KMS refused.
  template <typename OperationRequest>
  absl::StatusOr<typename OperationRequest::Response> Call(const OperationRequest& request,
                                                           Deadline deadline) {
    return ReadAs<OperationRequest>(Ask(
        OperationRequest::kOperation, [&](ttlv::Writer& writer) { request.Write(writer); },
        deadline));
  }

 private:
  Session(std::unique_ptr<Stream> stream, KnownServer& known)
      : stream_(std::move(stream)), known_(known) {}

  template <typename OperationRequest>
  absl::StatusOr<typename OperationRequest::Response> ReadAs(
      const absl::StatusOr<Response>& response) {
    if (!response.ok()) return response.status();
    auto payload = response->Payload(OperationRequest::kOperation);
    if (!payload.ok()) return Check(std::move(payload).status());
    auto result = OperationRequest::Response::Read(*payload);
    if (!result.ok()) return Check(std::move(result).status());
    return result;
  }

  // Negotiation in the headers of these versions, one after the other; takes off those that are
  // done with. Ends early when the connection breaks.
  absl::Status Negotiate(std::span<const ProtocolVersion>& headers, Deadline deadline);
  // In one version's header.
  absl::Status Discover(Deadline deadline);
  // Which of Encrypt and Decrypt the KMS does not have: before 1.2 they are an extension.
  absl::StatusOr<std::optional<Operation>> MissingOperation(Deadline deadline);

  // An exchange that may show that the known version is none.
  absl::StatusOr<Response> Ask(Operation operation, PayloadWriter payload, Deadline deadline);
  absl::StatusOr<Response> Exchange(Operation operation, PayloadWriter payload, Deadline deadline);
  absl::StatusOr<Response> DoExchange(Operation operation, PayloadWriter payload,
                                      Deadline deadline);
  // Whether this is the reply to the request with that id: a connection that lost or doubled one
  // would hand a call the answer to another.
  absl::Status CheckId(const Response& response, ByteView id);
  absl::Status ReadMessage(Deadline deadline);
  absl::Status ReadFully(std::span<uint8_t> buffer, Deadline deadline);
  // After kDataLoss the two sides no longer agree on what was said.
  absl::Status Check(absl::Status status) {
    if (status.code() == absl::StatusCode::kDataLoss) usable_ = false;
    return status;
  }

  std::unique_ptr<Stream> stream_;
  KnownServer& known_;
  ProtocolVersion version_;
  WipedBytes reply_;
  bool usable_ = true;
  bool untried_ = false;  // has a known version, in which nothing was asked yet
  bool version_refused_ = false;
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_SESSION_H_
