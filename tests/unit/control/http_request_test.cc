// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/http_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace okms {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class HttpRequestTest : public ::testing::Test {
 protected:
  std::string Take(absl::string_view bytes) { return request_.Take(bytes, pages_); }

  std::vector<std::string> asked_;
  const HttpPages pages_ = [this](std::string_view path) -> HttpReply {
    asked_.emplace_back(path);
    if (path == "/no") return {503, "application/json", "{}"};
    return {200, "text/plain", "body"};
  };
  HttpRequest request_;
};

TEST_F(HttpRequestTest, GetIsAnswered) {
  const std::string answer = Take("GET /page HTTP/1.1\r\nHost: kms\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nContent-Type: text/plain\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nContent-Length: 4\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nbody"));
  EXPECT_THAT(asked_, ElementsAre("/page"));
}

TEST_F(HttpRequestTest, HeadHasTheHeadOfTheSame) {
  const std::string answer = Take("HEAD /page HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nContent-Length: 4\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\nConnection: close\r\n\r\n"));
}

TEST_F(HttpRequestTest, OlderHttpIsAnswered) {
  EXPECT_THAT(Take("GET /page HTTP/1.0\r\n\r\n"), EndsWith("\r\n\r\nbody"));
}

TEST_F(HttpRequestTest, ThePageSaysTheStatus) {
  EXPECT_THAT(Take("GET /no HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
}

TEST_F(HttpRequestTest, AQueryIsNoPartOfThePath) {
  Take("GET /page?verbose=1 HTTP/1.1\r\n\r\n");
  EXPECT_THAT(asked_, ElementsAre("/page"));
}

TEST_F(HttpRequestTest, IsTakenInDrips) {
  const std::string request = "GET /page HTTP/1.1\r\nHost: kms\r\nAccept: */*\r\n\r\n";
  for (const char c : request.substr(0, request.size() - 1)) {
    ASSERT_THAT(Take(std::string(1, c)), IsEmpty());
  }
  EXPECT_THAT(Take("\n"), EndsWith("body"));
  EXPECT_THAT(asked_, ElementsAre("/page"));
}

TEST_F(HttpRequestTest, TheNextOnesInARowAreLeft) {
  const std::string one = "GET /page HTTP/1.1\r\n\r\n";
  EXPECT_THAT(Take(absl::StrCat(one, one, one)), EndsWith("\r\n\r\nbody"));
  EXPECT_THAT(asked_, ElementsAre("/page"));
}

TEST_F(HttpRequestTest, OtherMethodsAreRefused) {
  for (const std::string method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"}) {
    HttpRequest request;
    const std::string answer = request.Take(
        absl::StrCat(method, " /page HTTP/1.1\r\nContent-Length: 3\r\n\r\na=b"), pages_);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n")) << method;
    EXPECT_THAT(answer, HasSubstr("\r\nAllow: GET, HEAD\r\n"));
  }
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(HttpRequestTest, GarbageIsRefused) {
  for (const std::string garbage :
       {"\r\n\r\n", "hello\r\n\r\n", "GET /page\r\n\r\n", "GET /page HTTP/2.0\r\n\r\n",
        "GET /page HTTP/1.1\r\nno colon\r\n\r\n", "GET /pa\x01ge HTTP/1.1\r\n\r\n",
        "GET /page HTTP/1.1\r\nContent-Length: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}) {
    HttpRequest request;
    EXPECT_THAT(request.Take(garbage, pages_), StartsWith("HTTP/1.1 400 Bad Request\r\n"))
        << garbage;
  }
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(HttpRequestTest, WhatTheyWroteIsNotRepeated) {
  EXPECT_THAT(Take("GET /<script> FOO\r\n\r\n"), Not(HasSubstr("script")));
}

TEST_F(HttpRequestTest, AHeadHasItsMost) {
  const std::string head = "GET /page HTTP/1.1\r\nX: ";
  const std::string end = "\r\n\r\n";
  HttpRequest most;
  const std::size_t room = HttpRequest::kMostBytes - head.size() - end.size();
  EXPECT_THAT(most.Take(absl::StrCat(head, std::string(room, 'x'), end), pages_), EndsWith("body"));
  EXPECT_THAT(Take(absl::StrCat(head, std::string(room + 1000, 'x'), end)),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpRequestTest, AHeadWithoutEndIsRefusedOnTheWay) {
  std::string answer = Take("GET /page HTTP/1.1\r\n");
  std::size_t taken = 0;
  while (answer.empty() && taken < 2 * HttpRequest::kMostBytes) {
    answer = Take("X: aaaaaaaaaaaaaaaaaaaaa\r\n");
    taken += 26;
  }
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 431 "));
  EXPECT_LT(taken, HttpRequest::kMostBytes + 1000);
}

TEST_F(HttpRequestTest, FirstLineAndFieldsCountTogether) {
  EXPECT_THAT(Take(absl::StrCat("GET /", std::string(5000, 'x'), " HTTP/1.1\r\n")), IsEmpty());
  EXPECT_THAT(Take(absl::StrCat("X: ", std::string(5000, 'x'))), StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpRequestTest, ALineWithoutEndIsRefusedOnTheWay) {
  std::string answer;
  std::size_t taken = 0;
  while (answer.empty() && taken < 2 * HttpRequest::kMostBytes) {
    answer = Take(std::string(100, 'A'));
    taken += 100;
  }
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 4"));
  EXPECT_LT(taken, HttpRequest::kMostBytes + 1000);
}

}  // namespace
}  // namespace okms
