// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The envelope of KMIP: request and response messages of one or several batch items (KMIP 1.4
// section 7.1). Reader and writer of both sides stand together; the server's side serves the mock
// KMS and the tests.

#ifndef OKMS_KMIP_MESSAGE_H_
#define OKMS_KMIP_MESSAGE_H_

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/secret.h"
#include "kmip/enums.h"
#include "kmip/ttlv.h"
#include "kmip/version.h"

namespace okms::kmip {

// Of one message, as we write and read them. What more would bring is little: servers work through
// them one by one.
inline constexpr std::size_t kMaxItems = 16;

// Writes what stands inside a payload structure.
using PayloadWriter = absl::FunctionRef<void(ttlv::Writer&)>;

// One batch item of a request, to be written.
struct RequestItem {
  Operation operation;
  ByteView batch_item_id;  // section 6.4; empty: none
  PayloadWriter payload;
};

// One batch item of a request, as it was read, and what its header says of all.
struct Request {
  ProtocolVersion version;
  OnBatchError on_error = OnBatchError::kStop;
  Operation operation{};
  ByteView batch_item_id;  // empty: none. This and the payload are views of what was decoded
  ttlv::Item payload;

  // With several items, the KMS is told to go on after one that fails. No time stamp: it is
  // optional, and servers refuse one of a clock that runs ahead of theirs.
  static WipedBytes Encode(ProtocolVersion version, std::span<const RequestItem> items);
  // At least one. Errors: kDataLoss, also when there are more than `most` items.
  static absl::StatusOr<std::vector<Request>> Decode(ByteView message,
                                                     std::size_t most = kMaxItems);
};

// One batch item of a response, and what its header says of all.
struct Response {
  ProtocolVersion version;
  std::optional<Operation> operation;  // failures of the whole message have none
  ByteView batch_item_id = {};         // that of the request; empty: none
  ResultStatus status = ResultStatus::kSuccess;
  ResultReason reason = ResultReason::kNone;
  std::string message;                // the server's words, unfiltered
  std::optional<ttlv::Item> payload;  // a view of the message that was decoded
  // What the server's clock said, in seconds since 1970; none: a server that does not say it as the
  // standard has it, which is no reason to refuse an answer. Not written from here.
  std::optional<int64_t> time_stamp = {};

  // In the version of the first item, which there must be.
  static WipedBytes Encode(std::span<const Response> items, int64_t time_stamp);
  // One item. `payload` is not called for a failure, and takes the place of the header's own.
  static WipedBytes Encode(const Response& header, int64_t time_stamp, PayloadWriter payload);
  // At least one. Errors: kDataLoss, also when there are more than `most` items.
  static absl::StatusOr<std::vector<Response>> Decode(ByteView message,
                                                      std::size_t most = kMaxItems);

  // Whether the KMS refused the whole message, as servers do that cannot read it.
  bool RefusesMessage() const { return status == ResultStatus::kFailed && !operation; }

  // The payload of a success of `operation`. Errors: what the KMS refused, by its reason; kDataLoss
  // when this is no answer to that operation in KMIP 1. The version and the operation of a refusal
  // are not checked: servers that cannot read a request answer in one of their own.
  absl::StatusOr<ttlv::Item> Payload(Operation operation) const;
};

// A refusal as a status: "KMIP Encrypt refused: PermissionDenied: the server's words".
absl::Status RefusalStatus(Operation operation, ResultReason reason, absl::string_view message);

}  // namespace okms::kmip

#endif  // OKMS_KMIP_MESSAGE_H_
