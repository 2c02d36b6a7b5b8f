// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/socket_address.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"

namespace okms {
namespace {

using test::IsOk;
using test::StatusIs;

TEST(ParseSocketAddress, TakesPathsAndAbstractNames) {
  const struct {
    std::string text;
    std::string path;
    std::string abstract_name;
    std::string shown;
  } cases[] = {
      {"/run/kms.sock", "/run/kms.sock", "", "/run/kms.sock"},
      {"unix:///run/kms.sock", "/run/kms.sock", "", "/run/kms.sock"},
      {"@kms", "", "kms", "@kms"},
      {"unix://@kms", "", "kms", "@kms"},
      {"unix:///@kms", "", "kms", "@kms"},
      {"/@kms", "/@kms", "", "/@kms"},
      {"/" + std::string(106, 'p'), "/" + std::string(106, 'p'), "", "/" + std::string(106, 'p')},
      {"@" + std::string(107, 'a'), "", std::string(107, 'a'), "@" + std::string(107, 'a')},
  };
  for (const auto& [text, path, abstract_name, shown] : cases) {
    const auto parsed = ParseSocketAddress(text);
    ASSERT_THAT(parsed, IsOk()) << text;
    EXPECT_EQ(parsed->path, path) << text;
    EXPECT_EQ(parsed->abstract_name, abstract_name) << text;
    EXPECT_EQ(parsed->ToString(), shown) << text;
  }
}

TEST(ParseSocketAddress, RefusesAllElse) {
  const std::string no_path = "is no absolute path; give /path, unix:///path or @name";
  const std::pair<std::string, std::string> cases[] = {
      {"", no_path},
      {"kms.sock", no_path},
      {"./kms.sock", no_path},
      {"unix://", no_path},
      {"unix:/run/kms.sock", no_path},
      {"unix://run/kms.sock", no_path},
      {"tcp://127.0.0.1:1", no_path},
      {"@", "has no name after the @"},
      {"unix:///@", "has no name after the @"},
      {"/" + std::string(107, 'p'), "has 108 bytes; a socket's path has at most 107"},
      {"@" + std::string(108, 'a'), "has 108 bytes; a socket's path has at most 107"},
  };
  for (const auto& [text, why] : cases) {
    EXPECT_THAT(ParseSocketAddress(text),
                StatusIs(absl::StatusCode::kInvalidArgument, absl::StrCat("\"", text, "\" ", why)));
  }
  EXPECT_THAT(ParseSocketAddress(std::string("/a\0b", 4)),
              StatusIs(absl::StatusCode::kInvalidArgument, "\"/a?b\" has a NUL byte"));
}

}  // namespace
}  // namespace okms
