// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/https_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"

namespace okms {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kExample[] = "; give for example https://eu-west-rbx.okms.ovh.net";

TEST(ParseHttpsUrl, TakesAHostAPortAndAPath) {
  const struct {
    std::string given;
    std::string text;
    std::string host;
    uint16_t port;
  } cases[] = {
      {"https://eu-west-rbx.okms.ovh.net", "https://eu-west-rbx.okms.ovh.net",
       "eu-west-rbx.okms.ovh.net", 443},
      {"https://kms/", "https://kms", "kms", 443},
      {"https://kms///", "https://kms", "kms", 443},
      {"https://kms:443", "https://kms:443", "kms", 443},
      {"https://kms:1", "https://kms:1", "kms", 1},
      {"https://kms.test.:8443/p", "https://kms.test:8443/p", "kms.test.", 8443},
      {"https://kms:65535/", "https://kms:65535", "kms", 65535},
      {"https://kms/a/b", "https://kms/a/b", "kms", 443},
      {"https://kms:8443/a/b//", "https://kms:8443/a/b", "kms", 8443},
      {"https://kms/a//b", "https://kms/a//b", "kms", 443},
      {"https://kms/a@b%20c", "https://kms/a@b%20c", "kms", 443},
      {"https://192.0.2.1", "https://192.0.2.1", "192.0.2.1", 443},
      {"https://127.1:8443/p", "https://127.0.0.1:8443/p", "127.0.0.1",
       8443},  // as libcurl reads it
      {"https://0x7f.1", "https://127.0.0.1", "127.0.0.1", 443},
      {"https://[2001:DB8:0::1]", "https://[2001:db8::1]", "2001:db8::1", 443},
      {"https://kms:08443", "https://kms:8443", "kms", 8443},
      {"https://Kms_1.test/!$&'()*+,;=:@~", "https://Kms_1.test/!$&'()*+,;=:@~", "Kms_1.test", 443},
      {"https://[2001:db8::1]", "https://[2001:db8::1]", "2001:db8::1", 443},
      {"https://[2001:db8::1]:8443/p/", "https://[2001:db8::1]:8443/p", "2001:db8::1", 8443},
  };
  for (const auto& [given, text, host, port] : cases) {
    const auto url = ParseHttpsUrl(given);
    ASSERT_THAT(url, IsOk()) << given;
    EXPECT_EQ(url->text, text) << given;
    EXPECT_EQ(url->server.host, host) << given;
    EXPECT_EQ(url->server.port, port) << given;
  }
}

TEST(ParseHttpsUrl, SchemeIsOfAnyCase) {
  for (const char* given : {"HTTPS://kms", "HttpS://kms"}) {
    const auto url = ParseHttpsUrl(given);
    ASSERT_THAT(url, IsOk()) << given;
    EXPECT_EQ(url->text, "https://kms") << given;
  }
}

TEST(ParseHttpsUrl, WhatItGivesItTakes) {
  for (const char* given : {"https://kms:8443/a/", "https://[::1]:1/x//", "HTTPS://kms"}) {
    const auto url = ParseHttpsUrl(given);
    ASSERT_THAT(url, IsOk()) << given;
    const auto again = ParseHttpsUrl(url->text);
    ASSERT_THAT(again, IsOk()) << given;
    EXPECT_EQ(again->text, url->text) << given;
  }
}

TEST(ParseHttpsUrl, RefusesWhatItCannotMean) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "no https URL"},
      {"kms", "no https URL"},
      {"kms:443", "no https URL"},
      {"//kms", "no https URL"},
      {"https:", "no https URL"},
      {"https:/kms", "no https URL"},
      {"http://kms", "no https URL"},
      {"HTTP://kms", "no https URL"},
      {"httpss://kms", "no https URL"},
      {"kmip://kms:5696", "no https URL"},
      {" https://kms", "no https URL"},
      {"https://kms?state=active", "a query or fragment has no place in it"},
      {"https://kms/?", "a query or fragment has no place in it"},
      {"https://kms/a?b", "a query or fragment has no place in it"},
      {"https://kms#top", "a query or fragment has no place in it"},
      {"https://kms/#", "a query or fragment has no place in it"},
      {"https://", "the host is missing"},
      {"https:///kms", "the host is missing"},
      {"https://./", "the host is missing"},
      {"https://:443", "the host is missing"},
      {"https://kms:0", "the port must be between 1 and 65535"},
      {"https://kms:65536", "the port must be between 1 and 65535"},
      {"https://kms:99999999999", "the port must be between 1 and 65535"},
      {"https://kms:-1", "the port must be between 1 and 65535"},
      {"https://kms:+443", "the port must be between 1 and 65535"},
      {"https://kms: 443", "the port must be between 1 and 65535"},
      {"https://kms:https", "the port must be between 1 and 65535"},
      {"https://kms:", "the port must be between 1 and 65535"},
      {"https://[::1]:", "the port must be between 1 and 65535"},
      {"https://[::1]x", "the port must be between 1 and 65535"},
      {"https://2001:db8::1", "the host is no name and no address"},
      {"https://[::1", "the host is no name and no address"},
      {"https://[kms]", "the host is no name and no address"},
      {"https://[127.0.0.1]", "the host is no name and no address"},
      {"https://[fe80::1%25lo]", "the host is no name and no address"},
      {"https://[]", "the host is no name and no address"},
      {"https://k ms", "the host is no name and no address"},
      {"https://k%6ds", "the host is no name and no address"},
      {"https://kms\\a", "the host is no name and no address"},
      {"https://kms/a b", "the path has a character that must be percent-encoded"},
      {"https://kms/a\\b", "the path has a character that must be percent-encoded"},
      {"https://kms/{a}", "the path has a character that must be percent-encoded"},
  };
  for (const auto& [given, why] : cases) {
    EXPECT_THAT(ParseHttpsUrl(given), StatusIs(absl::StatusCode::kInvalidArgument,
                                               absl::StrCat(given, ": ", why, kExample)));
  }
}

TEST(ParseHttpsUrl, RefusesControlCharactersAndDoesNotRepeatThem) {
  for (const std::string given :
       {"https://k\nms", "https://kms/\x1b[31m", "https://kms/\r\nX: y"}) {
    const auto url = ParseHttpsUrl(given);
    EXPECT_THAT(url, StatusIs(absl::StatusCode::kInvalidArgument,
                              AllOf(HasSubstr("?"), EndsWith(kExample))))
        << given;
    for (const char c : url.status().message()) EXPECT_TRUE(c >= 0x20 && c <= 0x7e) << given;
  }
}

TEST(ParseHttpsUrl, LongTextIsCutInTheMessage) {
  const auto url = ParseHttpsUrl("http://" + std::string(100'000, 'k'));
  EXPECT_THAT(url, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("... (100007 bytes)")));
  EXPECT_LT(url.status().message().size(), 400u);
}

TEST(ParseHttpsUrl, RefusesAUser) {
  for (const char* given :
       {"https://user:secret@kms", "https://user@kms", "https://:secret@kms", "https://@kms",
        "https://user:secret@kms:8443/a", "https://user:secret@kms?x"}) {
    EXPECT_THAT(ParseHttpsUrl(given),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         absl::StrCat("(with a user): a user has no place in it: the client "
                                      "certificate authenticates",
                                      kExample)))
        << given;
  }
}

TEST(ParseHttpsUrl, PasswordStaysOutOfEveryMessage) {
  for (const char* given :
       {"https://user:secret@kms", "https://user:secret@k ms", "https://user:secret@",
        "https://user:sec@ret@kms", "http://user:secret@kms", "ftp://user:secret@kms",
        "user:secret@kms", "https://user:secret@kms:99999", "https://user:secret@kms:0"}) {
    EXPECT_THAT(ParseHttpsUrl(given),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(StartsWith("(with a user): "), Not(HasSubstr("secret")),
                               Not(HasSubstr("sec@")), EndsWith(kExample))))
        << given;
  }
}

}  // namespace
}  // namespace okms
