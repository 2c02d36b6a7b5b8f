// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Base64 (RFC 4648) as strict as an API must be: one spelling for each value. Abseil's decoder
// takes white space, missing padding and stray bits too.

#ifndef OKMS_TESTS_MOCK_KMS_BASE64_H_
#define OKMS_TESTS_MOCK_KMS_BASE64_H_

#include <optional>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "base/secret.h"

namespace okms::test {

// Section 4, with padding.
inline std::string Base64(ByteView bytes) { return absl::Base64Escape(AsText(bytes)); }
inline std::optional<std::string> FromBase64(absl::string_view text) {
  std::string bytes;
  if (!absl::Base64Unescape(text, &bytes) || Base64(AsBytes(bytes)) != text) return std::nullopt;
  return bytes;
}

// Section 5, without padding.
inline std::string Base64Url(ByteView bytes) { return absl::WebSafeBase64Escape(AsText(bytes)); }
inline std::optional<std::string> FromBase64Url(absl::string_view text) {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(text, &bytes) || Base64Url(AsBytes(bytes)) != text) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_BASE64_H_
