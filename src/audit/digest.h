// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Bytes that stand for other, longer ones.

#ifndef OKMS_AUDIT_DIGEST_H_
#define OKMS_AUDIT_DIGEST_H_

#include <array>
#include <cstdint>
#include <initializer_list>

#include "absl/strings/string_view.h"

namespace okms::audit {

// The first half of a SHA-256: among a billion of them two are equal by chance with 1 in 10^21.
using Digest = std::array<std::uint8_t, 16>;

// Of all parts, each with its length, so that "ab", "c" is another one than "a", "bc".
Digest DigestOf(std::initializer_list<absl::string_view> parts);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_DIGEST_H_
