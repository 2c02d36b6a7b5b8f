// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "support/plaintext.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace okms::test {
namespace {

// In base64 it has a '/', and a '_' in that for URLs.
constexpr char kPlaintext[] = "0123456789?\xff\xfe?\x01\x02\x03";

TEST(ExpectNoPlaintext, FindsEachForm) {
  const std::string plaintext = kPlaintext;
  const std::string hex = absl::BytesToHexString(plaintext);
  for (const std::string& form :
       {plaintext, hex, absl::AsciiStrToUpper(hex), absl::Base64Escape(plaintext),
        absl::WebSafeBase64Escape(plaintext)}) {
    EXPECT_NONFATAL_FAILURE(ExpectNoPlaintext(absl::StrCat("log: ", form, "\n"), kPlaintext),
                            "has no substring");
  }
}

TEST(ExpectNoPlaintext, FindsAPart) {
  EXPECT_NONFATAL_FAILURE(ExpectNoPlaintext(std::string(kPlaintext).substr(0, 15), kPlaintext),
                          "has no substring");
}

TEST(ExpectNoPlaintext, IsContentWithoutIt) {
  ExpectNoPlaintext("", kPlaintext);
  ExpectNoPlaintext(std::string(kPlaintext).substr(1), kPlaintext);
}

TEST(ExpectNoPlaintext, LooksForNothingShort) {
  EXPECT_FATAL_FAILURE(ExpectNoPlaintext("", "short"), "16");
}

}  // namespace
}  // namespace okms::test
