// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Looks for a plaintext where none may be.

#ifndef OKMS_TESTS_SUPPORT_PLAINTEXT_H_
#define OKMS_TESTS_SUPPORT_PLAINTEXT_H_

#include <gmock/gmock.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"

namespace okms::test {

// Expects nothing of `plaintext` in `text`: neither its bytes, nor hexadecimal, nor base64. It is
// random, and of 16 bytes at least: fewer may be there by chance.
inline void ExpectNoPlaintext(const std::string& text, const std::string& plaintext) {
  using testing::HasSubstr;
  using testing::Not;
  ASSERT_GE(plaintext.size(), 16U);
  // A part is bad enough. Base64 of 15 bytes from the start is a part of that of the whole.
  const std::string part = plaintext.substr(0, 15);
  EXPECT_THAT(text, Not(HasSubstr(part)));
  EXPECT_THAT(absl::AsciiStrToLower(text), Not(HasSubstr(absl::BytesToHexString(part))));
  EXPECT_THAT(text, Not(HasSubstr(absl::Base64Escape(part))));
  EXPECT_THAT(text, Not(HasSubstr(absl::WebSafeBase64Escape(part))));
}

}  // namespace okms::test

#endif  // OKMS_TESTS_SUPPORT_PLAINTEXT_H_
