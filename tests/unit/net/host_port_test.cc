// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/host_port.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"

namespace okms {
namespace {

using test::IsOk;
using test::StatusIs;

TEST(ParseHostPort, TakesNamesAndAddresses) {
  const struct {
    std::string text;
    std::string host;
    uint16_t port;
  } cases[] = {
      {"kms:5696", "kms", 5696},
      {"eu-west-rbx.okms.ovh.net:5696", "eu-west-rbx.okms.ovh.net", 5696},
      {"192.0.2.1:1", "192.0.2.1", 1},
      {"[2001:db8::1]:65535", "2001:db8::1", 65535},
      {"[::1]:443", "::1", 443},
      {"[fe80::1%eth0]:443", "fe80::1%eth0", 443},
      {"name.:05696", "name.", 5696},
  };
  for (const auto& [text, host, port] : cases) {
    const auto parsed = ParseHostPort(text);
    ASSERT_THAT(parsed, IsOk()) << text;
    EXPECT_EQ(parsed->host, host) << text;
    EXPECT_EQ(parsed->port, port) << text;
  }
}

TEST(ParseHostPort, RefusesAllElse) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "has no port"},
      {"kms", "has no port"},
      {"https://kms:443", "is a URL"},
      {"kmip://kms", "is a URL"},
      {":5696", "has no host"},
      {"[]:5696", "has no host"},
      {".:5696", "has no host"},
      {"2001:db8::1:5696", "has an IPv6 address without brackets, or more than one port"},
      {"kms:1:2", "has an IPv6 address without brackets, or more than one port"},
      {"[::1]", "has an IPv6 address without brackets, or more than one port"},
      {"kms:", "has no port between 1 and 65535"},
      {"kms:0", "has no port between 1 and 65535"},
      {"kms:65536", "has no port between 1 and 65535"},
      {"kms:4294967297", "has no port between 1 and 65535"},
      {"kms:-1", "has no port between 1 and 65535"},
      {"kms:kmip", "has no port between 1 and 65535"},
      {"kms:5696/path", "has no port between 1 and 65535"},
      {"k ms:5696", "has an invalid host"},
      {"user@kms:5696", "has an invalid host"},
      {"kms/:5696", "has an invalid host"},
      {"[kms:5696", "has an invalid host"},
      {"kms]:5696", "has an invalid host"},
      {"[[::1]]:5696", "has an invalid host"},
  };
  for (const auto& [text, why] : cases) {
    EXPECT_THAT(
        ParseHostPort(text),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 absl::StrCat("\"", text, "\" ", why, "; give host:port, for example kms:5696")));
  }
}

// A NUL would cut the name short for getaddrinfo(3) and for OpenSSL.
TEST(ParseHostPort, RefusesControlCharacters) {
  const std::string nul("kms\0.example:5696", 17);
  EXPECT_THAT(ParseHostPort(nul),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "\"kms?.example:5696\" has an invalid host; give host:port, for example "
                       "kms:5696"));
  EXPECT_THAT(ParseHostPort("kms\n:5696"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "\"kms?:5696\" has an invalid host; give host:port, for example kms:5696"));
}

TEST(HostPort, IsWrittenAsItIsRead) {
  for (const std::string text : {"kms:5696", "192.0.2.1:1", "[2001:db8::1]:65535"}) {
    EXPECT_EQ(ParseHostPort(text)->ToString(), text);
  }
}

}  // namespace
}  // namespace okms
