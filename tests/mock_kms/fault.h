// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Ways in which the mock KMS misbehaves.

#ifndef OKMS_TESTS_MOCK_KMS_FAULT_H_
#define OKMS_TESTS_MOCK_KMS_FAULT_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kmip/enums.h"
#include "kmip/message.h"

namespace okms::test {

enum class FaultKind {
  // Of the connection, in place of the reply:
  kReset,     // TCP reset
  kClose,     // orderly close
  kHang,      // silence until the connection or the server ends
  kGarbage,   // bytes that are no TTLV
  kTruncate,  // half of the reply, then close
  kOversize,  // a header that announces 2 GiB
  // Of one item of the reply:
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
  // Of a batch, which is a request of several items; others are left alone:
  kRefuseBatch,  // the whole message is refused with `reason`
  kCloseBatch,   // orderly close in place of the reply
  kReorder,      // the last item's answer comes first
  kLeaveOut,     // the last item has no answer
  kSwapIds,      // the first two answers have each other's Unique Batch Item ID
  kNoIds,        // no answer has one
  kDoubleItem,   // the first item's answer comes once more in place of the last one's
};

struct Fault {
  FaultKind kind;
  kmip::ResultReason reason = kmip::ResultReason::kGeneralFailure;  // of kRefuse, kRefuseBatch
  std::optional<kmip::Operation> operation;                         // else every one
  int times = -1;                                                   // then no more; -1 always
};

// A fault that is due, and what it hits.
struct Hit {
  Fault fault;
  std::vector<bool> items;  // of those of the message

  std::optional<Fault> OfItem(std::size_t index) const {
    return items[index] ? std::optional(fault) : std::nullopt;
  }
};

// What of `fault` is due for a message; takes it off. One of an item is counted by items, others by
// messages.
std::optional<Hit> TakeHit(std::optional<Fault>& fault, const std::vector<kmip::Request>& message);

// Does to the answers to a batch what its faults do.
void SpoilBatch(std::vector<kmip::Response>& answers, FaultKind kind);

// Takes "reset", "close:Encrypt", "garbage:Decrypt:2", "refuse=PermissionDenied:Encrypt". Errors:
// kInvalidArgument, which lists the kinds.
absl::StatusOr<Fault> ParseFault(absl::string_view text);

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_FAULT_H_
