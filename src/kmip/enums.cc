// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/enums.h"

#include "absl/strings/str_cat.h"

namespace okms::kmip {
namespace {

std::string Number(uint32_t value) { return absl::StrCat("0x", absl::Hex(value)); }

}  // namespace

std::string ToString(Operation operation) {
  switch (operation) {
    case Operation::kLocate: return "Locate";
    case Operation::kGetAttributes: return "GetAttributes";
    case Operation::kQuery: return "Query";
    case Operation::kDiscoverVersions: return "DiscoverVersions";
    case Operation::kEncrypt: return "Encrypt";
    case Operation::kDecrypt: return "Decrypt";
  }
  return absl::StrCat("operation ", Number(static_cast<uint32_t>(operation)));
}

std::string ToString(ResultReason reason) {
  switch (reason) {
    case ResultReason::kNone: return "no reason given";
    case ResultReason::kItemNotFound: return "ItemNotFound";
    case ResultReason::kResponseTooLarge: return "ResponseTooLarge";
    case ResultReason::kAuthenticationNotSuccessful: return "AuthenticationNotSuccessful";
    case ResultReason::kInvalidMessage: return "InvalidMessage";
    case ResultReason::kOperationNotSupported: return "OperationNotSupported";
    case ResultReason::kMissingData: return "MissingData";
    case ResultReason::kInvalidField: return "InvalidField";
    case ResultReason::kFeatureNotSupported: return "FeatureNotSupported";
    case ResultReason::kOperationCanceledByRequester: return "OperationCanceledByRequester";
    case ResultReason::kCryptographicFailure: return "CryptographicFailure";
    case ResultReason::kIllegalOperation: return "IllegalOperation";
    case ResultReason::kPermissionDenied: return "PermissionDenied";
    case ResultReason::kObjectArchived: return "ObjectArchived";
    case ResultReason::kGeneralFailure: return "GeneralFailure";
  }
  return absl::StrCat("reason ", Number(static_cast<uint32_t>(reason)));
}

std::string ToString(State state) {
  switch (state) {
    case State::kPreActive: return "PreActive";
    case State::kActive: return "Active";
    case State::kDeactivated: return "Deactivated";
    case State::kCompromised: return "Compromised";
    case State::kDestroyed: return "Destroyed";
    case State::kDestroyedCompromised: return "DestroyedCompromised";
  }
  return Number(static_cast<uint32_t>(state));
}

}  // namespace okms::kmip
