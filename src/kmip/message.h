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

struct Request {
  ProtocolVersion version;
  Operation operation{};
  ttlv::Item payload;  // a view of the message that was decoded

  // No time stamp: it is optional, and servers refuse one of a clock that runs ahead of theirs.
  static WipedBytes Encode(ProtocolVersion version, Operation operation, PayloadWriter payload);
  // Errors: kDataLoss.
  static absl::StatusOr<Request> Decode(ByteView message);
};

struct Response {
  ProtocolVersion version;
  std::optional<Operation> operation;  // failures of the whole message have none
  ResultStatus status = ResultStatus::kSuccess;
  ResultReason reason = ResultReason::kNone;
  std::string message;                // the server's words, unfiltered
  std::optional<ttlv::Item> payload;  // a view of the message that was decoded

  // `payload` is not called for a failure.
  static WipedBytes Encode(const Response& header, int64_t time_stamp, PayloadWriter payload);
  // Errors: kDataLoss when these bytes are not one response of one item.
  static absl::StatusOr<Response> Decode(ByteView message);

  // The payload of a success of `operation`. Errors: what the KMS refused, by its reason; kDataLoss
  // when this is no answer to that operation in that version. The version and the operation of a
  // refusal are not checked: servers that cannot read a request answer in one of their own.
  absl::StatusOr<ttlv::Item> Payload(Operation operation, ProtocolVersion version) const;
};

// A refusal as a status: "KMIP Encrypt refused: PermissionDenied: the server's words".
absl::Status RefusalStatus(Operation operation, ResultReason reason, absl::string_view message);

}  // namespace okms::kmip

#endif  // OKMS_KMIP_MESSAGE_H_
