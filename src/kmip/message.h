// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The envelope of KMIP: request and response messages of one batch item (KMIP 1.4 section 7.1).
// Reader and writer of both sides stand together; the server's side serves the mock KMS and the
// tests.

#ifndef OKMS_KMIP_MESSAGE_H_
#define OKMS_KMIP_MESSAGE_H_

#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/secret.h"
#include "kmip/enums.h"
#include "kmip/ttlv.h"
#include "kmip/version.h"

namespace okms::kmip {

// Writes what stands inside a payload structure.
using PayloadWriter = absl::FunctionRef<void(ttlv::Writer&)>;

// One batch item of a request, to be written.
struct RequestItem {
  Operation operation;
  ByteView batch_item_id;  // section 6.4; empty: none
  PayloadWriter payload;
};

struct Request {
  ProtocolVersion version;
  Operation operation{};
  ByteView batch_item_id;  // empty: none. This and the payload are views of what was decoded
  ttlv::Item payload;

  // No time stamp: it is optional, and servers refuse one of a clock that runs ahead of theirs.
  static WipedBytes Encode(ProtocolVersion version, const RequestItem& item);
  // Errors: kDataLoss.
  static absl::StatusOr<Request> Decode(ByteView message);
};

struct Response {
  ProtocolVersion version;
  std::optional<Operation> operation;  // failures of the whole message have none
  ByteView batch_item_id = {};         // that of the request; empty: none
  ResultStatus status = ResultStatus::kSuccess;
  ResultReason reason = ResultReason::kNone;
  std::string message;                // the server's words, unfiltered
  std::optional<ttlv::Item> payload;  // a view of the message that was decoded

  // `payload` is not called for a failure.
  static WipedBytes Encode(const Response& header, int64_t time_stamp, PayloadWriter payload);
  // Errors: kDataLoss when these bytes are not one response of one item.
  static absl::StatusOr<Response> Decode(ByteView message);

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
