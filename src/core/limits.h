// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What kube-apiserver accepts of a KMS plugin, and refuses after the fact if we do not check before
// (k8s.io/apiserver pkg/storage/value/encrypt/envelope/kmsv2/envelope.go).

#ifndef OKMS_CORE_LIMITS_H_
#define OKMS_CORE_LIMITS_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "core/backend.h"

namespace okms {

inline constexpr std::size_t kMaxKeyIdSize = 1024;       // bytes
inline constexpr std::size_t kMaxCiphertextSize = 1024;  // bytes
inline constexpr std::size_t kMaxAnnotationsSize =
    std::size_t{32} * 1024;  // bytes, all keys and values

inline constexpr std::size_t kSeedSize = 32;  // bytes; what the apiserver has encrypted

// The largest plaintext that AES-GCM turns into a ciphertext within the limit.
inline constexpr std::size_t kMaxPlaintextSize = kMaxCiphertextSize - 16;

// What the name of an annotation must be: at least two DNS-1123 labels (k8s.io/apimachinery
// validation.IsFullyQualifiedDomainName).
bool IsFullyQualifiedDomainName(absl::string_view name);

// Errors: kFailedPrecondition.
absl::Status CheckKeyId(absl::string_view key_id);

// Whether the apiserver would store this. Errors: kDataLoss.
absl::Status CheckEncrypted(const Ciphertext& ciphertext);

// Whether this can come from the apiserver. Errors: kInvalidArgument.
absl::Status CheckPlaintext(std::size_t size);
absl::Status CheckDecryptRequest(absl::string_view key_id, const Ciphertext& ciphertext);

}  // namespace okms

#endif  // OKMS_CORE_LIMITS_H_
