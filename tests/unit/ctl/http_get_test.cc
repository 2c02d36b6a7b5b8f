// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/http_get.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "support/status_is.h"

namespace okms::ctl {
namespace {

using test::IsOkAndHolds;
using test::StatusIs;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::size_t kMost = 1000;

class HttpGetTest : public testing::Test {
 protected:
  HttpGetTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    ours_.reset(ends[0]);
    theirs_.reset(ends[1]);
  }
  // Of a peer that says this, and then nothing more.
  absl::StatusOr<std::string> Get(const std::string& said, std::chrono::milliseconds patience) {
    EXPECT_EQ(::send(theirs_.get(), said.data(), said.size(), 0), said.size());
    return HttpGet(ours_.get(), "/page", kMost, Clock::now() + patience);
  }
  // Of one that closes then.
  absl::StatusOr<std::string> Get(const std::string& said) {
    EXPECT_EQ(::send(theirs_.get(), said.data(), said.size(), 0), said.size());
    ::shutdown(theirs_.get(), SHUT_WR);
    return HttpGet(ours_.get(), "/page", kMost, Clock::now() + std::chrono::minutes(1));
  }
  std::string Heard() const {
    std::array<char, 4096> bytes;
    const ssize_t size = ::recv(theirs_.get(), bytes.data(), bytes.size(), 0);
    return {bytes.data(), static_cast<std::size_t>(size < 0 ? 0 : size)};
  }

  UniqueFd ours_;
  UniqueFd theirs_;
};

TEST_F(HttpGetTest, TakesThePage) {
  EXPECT_THAT(Get("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage"), IsOkAndHolds("page"));
  EXPECT_THAT(Heard(), StartsWith("GET /page HTTP/1.1\r\nHost: localhost\r\n"));
}

TEST_F(HttpGetTest, TakesThePageBeforeTheConnectionEnds) {
  EXPECT_THAT(Get("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage", std::chrono::minutes(1)),
              IsOkAndHolds("page"));
}

TEST_F(HttpGetTest, TakesPagesOfOtherShapes) {
  EXPECT_THAT(Get("HTTP/1.1 200 OK\r\n\r\nuntil the end"), IsOkAndHolds("until the end"));
}

TEST_F(HttpGetTest, TakesPagesInPieces) {
  EXPECT_THAT(
      Get("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\npa\r\n2\r\nge\r\n0\r\n\r\n"),
      IsOkAndHolds("page"));
}

TEST_F(HttpGetTest, SaysThatThereIsNoSuchPage) {
  EXPECT_THAT(Get("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"),
              StatusIs(absl::StatusCode::kNotFound, "there is no such page"));
}

TEST_F(HttpGetTest, TakesNoErrorForAPage) {
  EXPECT_THAT(Get("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno"),
              StatusIs(absl::StatusCode::kDataLoss, "the page has status 503"));
}

TEST_F(HttpGetTest, TakesNoMoreThanTheBound) {
  EXPECT_THAT(
      Get(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", std::string(1001, 'x'))),
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("larger than 1000 bytes")));
}

TEST_F(HttpGetTest, TakesNoMoreThanTheBoundUntilTheEnd) {
  EXPECT_THAT(Get(absl::StrCat("HTTP/1.1 200 OK\r\n\r\n", std::string(1001, 'x'))),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("larger than 1000 bytes")));
}

TEST_F(HttpGetTest, TakesNoHeadWithoutAnEnd) {
  EXPECT_THAT(Get("HTTP/1.1 200 OK\r\nA: " + std::string(40'000, 'x'), std::chrono::minutes(1)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no web server")));
}

TEST_F(HttpGetTest, TakesNothingElse) {
  EXPECT_THAT(Get("220 mail.example ESMTP\r\n", std::chrono::minutes(1)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no web server")));
}

TEST_F(HttpGetTest, TakesNoHalfPage) {
  EXPECT_THAT(Get("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\npage"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no web server")));
}

TEST_F(HttpGetTest, SaysThatThePeerLeft) {
  EXPECT_THAT(Get(""), StatusIs(absl::StatusCode::kUnavailable, "the connection was closed"));
}

TEST_F(HttpGetTest, WaitsNoLongerThanTheDeadline) {
  EXPECT_THAT(
      Get("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\npage", std::chrono::milliseconds(20)),
      StatusIs(absl::StatusCode::kDeadlineExceeded, "no answer in time"));
}

}  // namespace
}  // namespace okms::ctl
