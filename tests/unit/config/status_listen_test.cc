// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "config/status_listen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "support/status_is.h"

namespace okms {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::HasSubstr;

constexpr auto kInvalidArgument = absl::StatusCode::kInvalidArgument;

std::string Path(absl::string_view text) {
  const auto parsed = ParseStatusListen(text, /*anywhere=*/false);
  EXPECT_THAT(parsed, IsOk());
  return parsed.ok() ? std::get<SocketAddress>(*parsed).path : "";
}

std::string Tcp(absl::string_view text, bool anywhere = false) {
  const auto parsed = ParseStatusListen(text, anywhere);
  EXPECT_THAT(parsed, IsOk());
  return parsed.ok() ? std::get<TcpListen>(*parsed).address.ToString() : "";
}

TEST(StatusListenTest, TakesPaths) {
  EXPECT_EQ(Path("unix:/run/s.sock"), "/run/s.sock");
  EXPECT_EQ(Path("unix:///run/s.sock"), "/run/s.sock");
}

TEST(StatusListenTest, TakesLoopbackAddresses) {
  EXPECT_EQ(Tcp("127.0.0.1:9440"), "127.0.0.1");
  EXPECT_EQ(Tcp("127.1.2.3:9440"), "127.1.2.3");
  EXPECT_EQ(Tcp("[::1]:9440"), "::1");
  EXPECT_EQ(Tcp("localhost:9440"), "127.0.0.1");
}

TEST(StatusListenTest, OtherAddressesMustBeMeant) {
  for (const std::string text : {"0.0.0.0:9440", "[::]:9440", "192.0.2.1:9440", "128.0.0.1:9440",
                                 "[::ffff:127.0.0.1]:9440", "[2001:db8::1]:9440"}) {
    EXPECT_THAT(
        ParseStatusListen(text, /*anywhere=*/false),
        StatusIs(kInvalidArgument,
                 "--status-listen " + text +
                     ": no loopback address; give for example 127.0.0.1:9440, or say that it "
                     "is meant with --status-listen-anywhere (OKMS_STATUS_LISTEN_ANYWHERE)"));
  }
  EXPECT_EQ(Tcp("0.0.0.0:9440", /*anywhere=*/true), "0.0.0.0");
  EXPECT_EQ(Tcp("[2001:db8::1]:9440", /*anywhere=*/true), "2001:db8::1");
}

TEST(StatusListenTest, NamesTheFlagAndARemedy) {
  EXPECT_THAT(ParseStatusListen("kms.example:9440", true),
              StatusIs(kInvalidArgument,
                       "--status-listen kms.example:9440: no IP address; give for "
                       "example 127.0.0.1:9440"));
  for (const std::string text :
       {"/run/s.sock", "9440", "127.0.0.1", "127.0.0.1:0", "@name", ":9440"}) {
    EXPECT_THAT(
        ParseStatusListen(text, true),
        StatusIs(kInvalidArgument, "--status-listen " + text +
                                       ": neither unix:/path nor host:port; give for example "
                                       "127.0.0.1:9440"));
  }
  for (const std::string text : {"unix:s.sock", "unix:", "unix:@name"}) {
    EXPECT_THAT(ParseStatusListen(text, true),
                StatusIs(kInvalidArgument, "--status-listen " + text +
                                               ": no absolute path; give for example "
                                               "unix:/run/kms-status.sock"));
  }
  EXPECT_THAT(ParseStatusListen("unix:/run/", false),
              StatusIs(kInvalidArgument, HasSubstr("is a folder")));
}

}  // namespace
}  // namespace okms
