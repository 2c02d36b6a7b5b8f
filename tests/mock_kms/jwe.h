// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// JWE in compact serialisation (RFC 7516 section 3.1), as OKMS writes its ciphertexts: direct
// encryption with a shared key (RFC 7518 section 4.5) under AES-GCM (section 5.3).
//
//   BASE64URL(header) "." "." BASE64URL(IV) "." BASE64URL(ciphertext) "." BASE64URL(tag)
//
// The part between the first two dots is the encrypted key, which is empty with "dir". The first
// part, as it stands, is the additional authenticated data: there is no room for another, so a
// caller's context is bound by its hash in the header.

#ifndef OKMS_TESTS_MOCK_KMS_JWE_H_
#define OKMS_TESTS_MOCK_KMS_JWE_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/secret.h"

namespace okms::test {

// The id of the key, which goes into the header, and the caller's context, if any.
struct JweBinding {
  std::string kid;
  std::optional<std::string> context = {};
};

// Key of 16, 24 or 32 bytes. Errors: kInvalidArgument.
absl::StatusOr<std::string> JweEncrypt(ByteView key, const JweBinding& binding, ByteView plaintext);

// Errors: kInvalidArgument, for all that is not exactly what JweEncrypt makes of this key, id and
// context.
absl::StatusOr<std::string> JweDecrypt(ByteView key, const JweBinding& binding,
                                       absl::string_view jwe);

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_JWE_H_
