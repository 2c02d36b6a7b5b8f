// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Ways in which the mock KMS misbehaves.

#ifndef OKMS_TESTS_MOCK_KMS_FAULT_H_
#define OKMS_TESTS_MOCK_KMS_FAULT_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kmip/enums.h"

namespace okms::test {

enum class FaultKind {
  // Of the connection, in place of the reply:
  kReset,     // TCP reset
  kClose,     // orderly close
  kHang,      // silence until the connection or the server ends
  kGarbage,   // bytes that are no TTLV
  kTruncate,  // half of the reply, then close
  kOversize,  // a header that announces 2 GiB
  // Of the reply:
  kWrongOperation,  // success of another operation
  kWrongVersion,    // success in another version
  kNoOperation,     // success that does not say of what
  kOtherId,         // success for another request, by its Unique Batch Item ID
  kNoId,            // success without that id
  kNoPayload,       // success without a payload
  kOtherKey,        // success about another key
  kShortData,       // one byte of data less
  kWrongData,       // the right size, the wrong bytes
  kRefuse,          // refused with `reason`
};

struct Fault {
  FaultKind kind;
  kmip::ResultReason reason = kmip::ResultReason::kGeneralFailure;  // of kRefuse
  std::optional<kmip::Operation> operation;                         // else every one
  int times = -1;                                                   // then no more; -1 always
};

// Takes "reset", "close:Encrypt", "garbage:Decrypt:2", "refuse=PermissionDenied:Encrypt". Errors:
// kInvalidArgument, which lists the kinds.
absl::StatusOr<Fault> ParseFault(absl::string_view text);

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_FAULT_H_
