// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "mock_kms/fault.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace okms::test {
namespace {

using kmip::Operation;
using kmip::ResultReason;

constexpr std::array<std::pair<absl::string_view, FaultKind>, 23> kKinds{{
    {"reset", FaultKind::kReset},
    {"close", FaultKind::kClose},
    {"hang", FaultKind::kHang},
    {"garbage", FaultKind::kGarbage},
    {"truncate", FaultKind::kTruncate},
    {"oversize", FaultKind::kOversize},
    {"wrong-operation", FaultKind::kWrongOperation},
    {"wrong-version", FaultKind::kWrongVersion},
    {"other-id", FaultKind::kOtherId},
    {"no-id", FaultKind::kNoId},
    {"no-operation", FaultKind::kNoOperation},
    {"no-payload", FaultKind::kNoPayload},
    {"other-key", FaultKind::kOtherKey},
    {"short-data", FaultKind::kShortData},
    {"wrong-data", FaultKind::kWrongData},
    {"refuse", FaultKind::kRefuse},
    {"refuse-batch", FaultKind::kRefuseBatch},
    {"close-batch", FaultKind::kCloseBatch},
    {"reorder", FaultKind::kReorder},
    {"leave-out", FaultKind::kLeaveOut},
    {"swap-ids", FaultKind::kSwapIds},
    {"no-ids", FaultKind::kNoIds},
    {"double-item", FaultKind::kDoubleItem},
}};

constexpr std::array kReasons{
    ResultReason::kItemNotFound,
    ResultReason::kResponseTooLarge,
    ResultReason::kAuthenticationNotSuccessful,
    ResultReason::kInvalidMessage,
    ResultReason::kOperationNotSupported,
    ResultReason::kMissingData,
    ResultReason::kInvalidField,
    ResultReason::kFeatureNotSupported,
    ResultReason::kCryptographicFailure,
    ResultReason::kIllegalOperation,
    ResultReason::kPermissionDenied,
    ResultReason::kObjectArchived,
    ResultReason::kGeneralFailure,
};

constexpr std::array kOperations{Operation::kLocate,  Operation::kGetAttributes,
                                 Operation::kQuery,   Operation::kDiscoverVersions,
                                 Operation::kEncrypt, Operation::kDecrypt};

bool IsOfItem(FaultKind kind) {
  return kind >= FaultKind::kWrongOperation && kind <= FaultKind::kRefuse;
}
bool IsOfBatch(FaultKind kind) { return kind >= FaultKind::kRefuseBatch; }

}  // namespace

std::optional<Hit> TakeHit(std::optional<Fault>& fault, const std::vector<kmip::Request>& message) {
  if (!fault || (IsOfBatch(fault->kind) && message.size() < 2)) return std::nullopt;
  Hit hit{*fault, {}};
  bool any = false;
  for (const kmip::Request& request : message) {
    const bool hits =
        fault->times != 0 && (!fault->operation || *fault->operation == request.operation);
    if (hits && fault->times > 0 && (IsOfItem(fault->kind) || !any)) --fault->times;
    any = any || hits;
    hit.items.push_back(hits);
  }
  return any ? std::optional(hit) : std::nullopt;
}

void SpoilBatch(std::vector<kmip::Response>& answers, FaultKind kind) {
  if (answers.size() < 2) return;  // it was stopped
  switch (kind) {
    case FaultKind::kReorder: std::rotate(answers.begin(), answers.end() - 1, answers.end()); break;
    case FaultKind::kLeaveOut: answers.pop_back(); break;
    case FaultKind::kSwapIds: std::swap(answers[0].batch_item_id, answers[1].batch_item_id); break;
    case FaultKind::kNoIds:
      for (kmip::Response& answer : answers) answer.batch_item_id = {};
      break;
    case FaultKind::kDoubleItem: answers.back() = answers.front(); break;
    default: break;
  }
}

absl::StatusOr<Fault> ParseFault(absl::string_view text) {
  const auto bad = [&](absl::string_view why) {
    std::string kinds;
    for (const auto& [name, kind] : kKinds)
      absl::StrAppend(&kinds, kinds.empty() ? "" : ", ", name);
    return absl::InvalidArgumentError(
        absl::StrCat("fault \"", text, "\": ", why,
                     "; KIND[=REASON][:OPERATION][:TIMES], where KIND "
                     "is one of ",
                     kinds));
  };
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  const std::pair<std::string, std::string> kind =
      absl::StrSplit(parts[0], absl::MaxSplits('=', 1));
  std::optional<Fault> fault;
  for (const auto& [name, value] : kKinds) {
    if (kind.first == name) fault = Fault{.kind = value, .operation = {}};
  }
  if (!fault) return bad("no such kind");
  if (!kind.second.empty()) {
    bool known = false;
    for (const ResultReason reason : kReasons) {
      if (kind.second == ToString(reason)) {
        fault->reason = reason;
        known = true;
      }
    }
    if (!known) return bad("no such reason");
  }
  for (std::size_t i = 1; i < parts.size(); ++i) {
    int times = 0;
    bool known = absl::SimpleAtoi(parts[i], &times);
    if (known) fault->times = times;
    for (const Operation operation : kOperations) {
      if (parts[i] == ToString(operation)) {
        fault->operation = operation;
        known = true;
      }
    }
    if (!known) return bad("neither an operation nor a number");
  }
  return *fault;
}

}  // namespace okms::test
