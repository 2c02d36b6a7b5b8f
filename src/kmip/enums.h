// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The tags and enumerations of KMIP 1.0-1.4 that we use (KMIP 1.4 section 9.1.3).

#ifndef OKMS_KMIP_ENUMS_H_
#define OKMS_KMIP_ENUMS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "kmip/ttlv.h"

namespace okms::kmip {

namespace tag {
inline constexpr ttlv::Tag kAttribute = 0x420008;
inline constexpr ttlv::Tag kAttributeIndex = 0x420009;
inline constexpr ttlv::Tag kAttributeName = 0x42000A;
inline constexpr ttlv::Tag kAttributeValue = 0x42000B;
inline constexpr ttlv::Tag kBatchCount = 0x42000D;
inline constexpr ttlv::Tag kBatchErrorContinuationOption = 0x42000E;
inline constexpr ttlv::Tag kBatchItem = 0x42000F;
inline constexpr ttlv::Tag kBlockCipherMode = 0x420011;
inline constexpr ttlv::Tag kCryptographicAlgorithm = 0x420028;
inline constexpr ttlv::Tag kCryptographicParameters = 0x42002B;
inline constexpr ttlv::Tag kIvCounterNonce = 0x42003D;
inline constexpr ttlv::Tag kNameType = 0x420054;
inline constexpr ttlv::Tag kNameValue = 0x420055;
inline constexpr ttlv::Tag kOperation = 0x42005C;
inline constexpr ttlv::Tag kPaddingMethod = 0x42005F;
inline constexpr ttlv::Tag kProtocolVersion = 0x420069;
inline constexpr ttlv::Tag kProtocolVersionMajor = 0x42006A;
inline constexpr ttlv::Tag kProtocolVersionMinor = 0x42006B;
inline constexpr ttlv::Tag kQueryFunction = 0x420074;
inline constexpr ttlv::Tag kRequestHeader = 0x420077;
inline constexpr ttlv::Tag kRequestMessage = 0x420078;
inline constexpr ttlv::Tag kRequestPayload = 0x420079;
inline constexpr ttlv::Tag kResponseHeader = 0x42007A;
inline constexpr ttlv::Tag kResponseMessage = 0x42007B;
inline constexpr ttlv::Tag kResponsePayload = 0x42007C;
inline constexpr ttlv::Tag kResultMessage = 0x42007D;
inline constexpr ttlv::Tag kResultReason = 0x42007E;
inline constexpr ttlv::Tag kResultStatus = 0x42007F;
inline constexpr ttlv::Tag kTimeStamp = 0x420092;
inline constexpr ttlv::Tag kUniqueBatchItemId = 0x420093;
inline constexpr ttlv::Tag kUniqueIdentifier = 0x420094;
inline constexpr ttlv::Tag kData = 0x4200C2;
inline constexpr ttlv::Tag kRandomIv = 0x4200C5;
inline constexpr ttlv::Tag kIvLength = 0x4200CD;
inline constexpr ttlv::Tag kTagLength = 0x4200CE;
inline constexpr ttlv::Tag kAuthenticatedEncryptionAdditionalData = 0x4200FE;
inline constexpr ttlv::Tag kAuthenticatedEncryptionTag = 0x4200FF;
}  // namespace tag

enum class Operation : uint32_t {
  kLocate = 0x08,
  kGetAttributes = 0x0B,
  kQuery = 0x18,
  kDiscoverVersions = 0x1E,
  kEncrypt = 0x1F,
  kDecrypt = 0x20,
};

enum class ResultStatus : uint32_t { kSuccess = 0, kFailed = 1, kPending = 2, kUndone = 3 };

enum class ResultReason : uint32_t {
  kNone = 0,  // ours: the reply gave no reason
  kItemNotFound = 0x01,
  kResponseTooLarge = 0x02,
  kAuthenticationNotSuccessful = 0x03,
  kInvalidMessage = 0x04,
  kOperationNotSupported = 0x05,
  kMissingData = 0x06,
  kInvalidField = 0x07,
  kFeatureNotSupported = 0x08,
  kOperationCanceledByRequester = 0x09,
  kCryptographicFailure = 0x0A,
  kIllegalOperation = 0x0B,
  kPermissionDenied = 0x0C,
  kObjectArchived = 0x0D,
  kGeneralFailure = 0x100,
};

// Section 6.13, of a request of several items; a KMS that is told nothing stops.
enum class OnBatchError : uint32_t { kContinue = 1, kStop = 2, kUndo = 3 };

enum class State : uint32_t {
  kPreActive = 1,
  kActive = 2,
  kDeactivated = 3,
  kCompromised = 4,
  kDestroyed = 5,
  kDestroyedCompromised = 6,
};

enum class ObjectType : uint32_t { kCertificate = 1, kSymmetricKey = 2 };
enum class CryptographicAlgorithm : uint32_t { kAes = 3 };
enum class BlockCipherMode : uint32_t { kGcm = 9 };
enum class QueryFunction : uint32_t { kOperations = 1 };
enum class NameType : uint32_t { kUninterpretedTextString = 1 };

// Bits of the Cryptographic Usage Mask.
inline constexpr int32_t kUsageEncrypt = 0x4;
inline constexpr int32_t kUsageDecrypt = 0x8;

// The names of attributes, as they travel (KMIP 1.4 section 3).
namespace attribute {
inline constexpr absl::string_view kName = "Name";
inline constexpr absl::string_view kObjectType = "Object Type";
inline constexpr absl::string_view kState = "State";
inline constexpr absl::string_view kCryptographicAlgorithm = "Cryptographic Algorithm";
inline constexpr absl::string_view kCryptographicLength = "Cryptographic Length";
inline constexpr absl::string_view kCryptographicUsageMask = "Cryptographic Usage Mask";
}  // namespace attribute

// The specification's name, or the number in hexadecimal.
std::string ToString(Operation operation);
std::string ToString(ResultReason reason);
std::string ToString(State state);

}  // namespace okms::kmip

#endif  // OKMS_KMIP_ENUMS_H_
