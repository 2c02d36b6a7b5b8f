// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace okms {
namespace {

TEST(IsUtf8, Text) {
  for (const char* text :
       {"", "plain", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
        "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "a\xC3\xA9z"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
  EXPECT_TRUE(IsUtf8(std::string(1, '\0')));
}

TEST(IsUtf8, OtherBytes) {
  for (const char* text :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2z", "\xE0\x9F\xBF", "\xE1\x80",
        "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF1\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
        "\xFF", "a\xC3\xA9\xA9", "\xE1\x80\x7F", "\xE1\x80\xC0"}) {
    EXPECT_FALSE(IsUtf8(text)) << text;
  }
}

TEST(OneLine, LeavesText) {
  for (const char* text :
       {"", "plain text", "/etc/\xC3\xA9t\xC3\xA9.pem", "\xC2\xA0", "\xF0\x90\x80\x80"}) {
    EXPECT_EQ(OneLine(text), text);
  }
}

TEST(OneLine, HasNoControlCharacter) {
  EXPECT_EQ(OneLine("a\nerror: b\r\t\x1b[2J\x7F"), "a?error: b???[2J?");
  EXPECT_EQ(OneLine(std::string("a\0b", 3)), "a?b");
  EXPECT_EQ(OneLine("\xC2\x80\xC2\x9B\xC2\x9F"), "???");  // what 8-bit terminals obey
}

TEST(OneLine, HasNoOtherBytes) {
  EXPECT_EQ(OneLine("a\xFFz"), "a?z");
  EXPECT_EQ(OneLine("\xC2"), "?");
  EXPECT_EQ(OneLine("\xE0\x9Fz"), "??z");
}

}  // namespace
}  // namespace okms
