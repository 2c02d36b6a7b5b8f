// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A KMIP session: one connection with a negotiated version, one request at a time.

#ifndef OKMS_KMIP_SESSION_H_
#define OKMS_KMIP_SESSION_H_

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "kmip/message.h"
#include "kmip/version.h"
#include "net/stream.h"

namespace okms::kmip {

// The version whose header the KMS last answered Discover Versions to, so that later sessions begin
// with it. Thread-safe.
class HeaderHint {
 public:
  ProtocolVersion Get() const { return {1, minor_.load(std::memory_order_relaxed)}; }
  void Set(ProtocolVersion version) { minor_.store(version.minor, std::memory_order_relaxed); }

 private:
  // Discover Versions is as old as 1.1, so servers of all versions are most likely to know it
  // there.
  std::atomic<int32_t> minor_ = 1;
};

// Used by one thread at a time.
class Session {
 public:
  // Dials and negotiates the highest version that both sides know among 1.0 to 1.4. Blocks at most
  // until `deadline`. Errors: the dialer's; kFailedPrecondition when the KMS has no version with
  // Encrypt and Decrypt in common with us; kDataLoss; what the KMS refused.
  static absl::StatusOr<std::unique_ptr<Session>> Open(Dialer& dialer, HeaderHint& hint,
                                                       Deadline deadline);

  ProtocolVersion version() const { return version_; }

  // False after an error of the connection itself (closed, late, or bytes that make no sense):
  // throw the session away. A refusal by the KMS leaves it usable.
  bool usable() const { return usable_; }

  // Wipes the last answer, which may hold a plaintext; the views of it are then invalid.
  void Forget() { WipedBytes().swap(reply_); }

  // Whether an idle session is still good to use. Does not block.
  bool IsQuiet() { return usable_ && stream_->IsQuiet(); }

  // Sends one request and waits for its answer, at most until `deadline`. What is returned are
  // views that the next call invalidates. Errors: the stream's; kDataLoss; what the KMS refused.
  template <typename OperationRequest>
  absl::StatusOr<typename OperationRequest::Response> Call(const OperationRequest& request,
                                                           Deadline deadline) {
    return Ask(request, version_, deadline);
  }

 private:
  Session(std::unique_ptr<Stream> stream, ProtocolVersion version)
      : stream_(std::move(stream)), version_(version) {}

  // A whole call, whose answer must be in `expected`, or in any version when there is none.
  template <typename OperationRequest>
  absl::StatusOr<typename OperationRequest::Response> Ask(const OperationRequest& request,
                                                          std::optional<ProtocolVersion> expected,
                                                          Deadline deadline) {
    auto response = Exchange(
        OperationRequest::kOperation, [&](ttlv::Writer& writer) { request.Write(writer); },
        deadline);
    if (!response.ok()) return std::move(response).status();
    auto payload =
        response->Payload(OperationRequest::kOperation, expected.value_or(response->version));
    if (!payload.ok()) return Check(std::move(payload).status());
    auto result = OperationRequest::Response::Read(*payload);
    if (!result.ok()) return Check(std::move(result).status());
    return result;
  }

  // Negotiation in one version's header.
  absl::Status Negotiate(Deadline deadline);
  // Which of Encrypt and Decrypt the KMS does not have: before 1.2 they are an extension.
  absl::StatusOr<std::optional<Operation>> MissingOperation(Deadline deadline);

  absl::StatusOr<Response> Exchange(Operation operation, PayloadWriter payload, Deadline deadline);
  absl::Status ReadMessage(Deadline deadline);
  absl::Status ReadFully(std::span<uint8_t> buffer, Deadline deadline);
  // After kDataLoss the two sides no longer agree on what was said.
  absl::Status Check(absl::Status status) {
    if (status.code() == absl::StatusCode::kDataLoss) usable_ = false;
    return status;
  }

  std::unique_ptr<Stream> stream_;
  ProtocolVersion version_;
  WipedBytes reply_;
  bool usable_ = true;
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_SESSION_H_
