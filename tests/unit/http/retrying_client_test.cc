// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/retrying_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"
#include "unit/http/fake_http.h"

namespace okms::http {
namespace {

using namespace std::chrono_literals;
using okms::test::IsOk;
using okms::test::StatusIs;
using test::FakeHttp;
using test::FakeHttpClient;
using test::Response;
using test::Sent;
using ::testing::SizeIs;
using Result = absl::StatusOr<HttpResponse>;

class RetryingClientTest : public ::testing::Test {
 protected:
  // The test's answers, one an attempt; the last one stays.
  Result Send(std::vector<Result> answers, std::chrono::milliseconds time_left = 1h,
              Clock::time_point earliest = {}) {
    http_.sent.clear();
    http_.handler = [&, next = std::size_t{0}](const Sent&) mutable {
      return answers[std::min(next++, answers.size() - 1)];
    };
    deadline_ = Clock::now() + time_left;
    std::vector<Result> results;
    client_.Send(request_, earliest, deadline_,
                 [&](Result result) { results.push_back(std::move(result)); });
    EXPECT_THAT(results, SizeIs(1));
    return std::move(results.front());
  }
  // For what was sent, not for what came of it.
  void Try(std::vector<Result> answers, std::chrono::milliseconds time_left = 1h) {
    Send(std::move(answers), time_left).status().IgnoreError();
  }
  static HttpResponse RetryAfter(int status, std::chrono::seconds seconds) {
    HttpResponse response = Response(status);
    response.retry_after = seconds;
    return response;
  }
  // Between which bounds the pause before attempt `number` (1 is the second one sent) lies: it
  // begins after the answer, and before the attempt is handed over.
  void ExpectPause(std::size_t number, std::chrono::milliseconds least,
                   std::chrono::milliseconds below) const {
    ASSERT_LT(number, http_.sent.size());
    const Sent& attempt = http_.sent[number];
    EXPECT_GE(attempt.earliest, http_.sent[number - 1].at + least) << number;
    EXPECT_LT(attempt.earliest, attempt.at + below) << number;
  }

  FakeHttp http_;
  Traffic traffic_;
  RetryingClient client_{std::make_unique<FakeHttpClient>(http_), traffic_};
  const std::shared_ptr<const HttpRequest> request_ =
      std::make_shared<const HttpRequest>(HttpRequest{"/x", test::Bytes("{}")});
  Deadline deadline_;
};

TEST_F(RetryingClientTest, FirstAnswerThatIsOneIsTheOutcome) {
  const auto earliest = Clock::now() + 1s;
  const auto result = Send({Response(200, "{}")}, 1h, earliest);
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(AsText(result->body), "{}");
  EXPECT_EQ(traffic_.succeeded.value(), 1);
  EXPECT_EQ(traffic_.retries.value() + traffic_.refused.value() + traffic_.failed.value(), 0);
  ASSERT_THAT(http_.sent, SizeIs(1));
  EXPECT_EQ(http_.sent[0].earliest, earliest);
  EXPECT_EQ(http_.sent[0].deadline, deadline_);
}

TEST_F(RetryingClientTest, EveryAttemptIsTheSameRequestWithTheSameDeadline) {
  Try({Response(503)});
  ASSERT_THAT(http_.sent, SizeIs(5));
  EXPECT_EQ(traffic_.retries.value(), 4);
  EXPECT_EQ(traffic_.refused.value(), 1);
  EXPECT_EQ(traffic_.succeeded.value(), 0);
  for (const Sent& sent : http_.sent) {
    EXPECT_EQ(sent.path, "/x");
    EXPECT_EQ(sent.body, "{}");
    EXPECT_EQ(sent.deadline, deadline_);
  }
}

TEST_F(RetryingClientTest, AnswersAfterWhichItTriesAgain) {
  for (const int status : {429, 500, 502, 503, 504, 505, 599}) {
    const auto result = Send({Response(status), Response(200)});
    ASSERT_THAT(result, IsOk());
    EXPECT_EQ(result->status, 200) << status;
    EXPECT_THAT(http_.sent, SizeIs(2)) << status;
  }
}

TEST_F(RetryingClientTest, AnswersAfterWhichItDoesNot) {
  for (const int status : {200, 201, 204, 301, 302, 304, 307, 308, 400, 401, 403, 404,
                           408, 409, 410, 413, 422, 428, 430, 499, 501, 0,   100}) {
    const auto result = Send({RetryAfter(status, 1s), Response(599)});
    ASSERT_THAT(result, IsOk());
    EXPECT_EQ(result->status, status);
    EXPECT_THAT(http_.sent, SizeIs(1)) << status;
  }
}

TEST_F(RetryingClientTest, TriesAgainAfterATransportError) {
  const auto result = Send({absl::UnavailableError("reset"), Response(200)});
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->status, 200);
  EXPECT_THAT(http_.sent, SizeIs(2));
}

TEST_F(RetryingClientTest, ErrorsAfterWhichItDoesNot) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kUnauthenticated,
        absl::StatusCode::kDataLoss, absl::StatusCode::kResourceExhausted,
        absl::StatusCode::kCancelled, absl::StatusCode::kFailedPrecondition,
        absl::StatusCode::kInternal}) {
    EXPECT_THAT(Send({absl::Status(code, "why"), Response(200)}), StatusIs(code, "why"));
    EXPECT_THAT(http_.sent, SizeIs(1)) << code;
  }
}

TEST_F(RetryingClientTest, FiveAttemptsAndTheLastAnswerCounts) {
  std::vector<Result> answers;
  for (const int status : {500, 502, 503, 504, 599, 200}) answers.emplace_back(Response(status));
  const auto result = Send(answers);
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->status, 599);
  EXPECT_THAT(http_.sent, SizeIs(5));
}

TEST_F(RetryingClientTest, FiveAttemptsAndTheLastErrorCounts) {
  std::vector<Result> answers{Response(503)};
  for (int i = 2; i <= 6; ++i) answers.emplace_back(absl::UnavailableError(absl::StrCat(i)));
  EXPECT_THAT(Send(answers), StatusIs(absl::StatusCode::kUnavailable, "5"));
  EXPECT_THAT(http_.sent, SizeIs(5));
}

TEST_F(RetryingClientTest, PausesGrow) {
  for (int i = 0; i < 100; ++i) {
    Try({i % 2 == 0 ? Result(Response(503)) : Result(absl::UnavailableError("reset"))});
    ASSERT_THAT(http_.sent, SizeIs(5));
    ExpectPause(1, 50ms, 100ms);
    ExpectPause(2, 100ms, 200ms);
    ExpectPause(3, 200ms, 400ms);
    ExpectPause(4, 400ms, 800ms);
  }
}

// Clients that failed together must not come back together.
TEST_F(RetryingClientTest, PausesAreRandom) {
  std::set<std::chrono::milliseconds> pauses;
  for (int i = 0; i < 100; ++i) {
    Try({Response(503), Response(200)});
    pauses.insert(
        std::chrono::floor<std::chrono::milliseconds>(http_.sent[1].earliest - http_.sent[1].at));
  }
  EXPECT_GT(pauses.size(), 10u);
}

TEST_F(RetryingClientTest, GivesTheKmsTheTimeThatItAsksFor) {
  for (const int status : {429, 503, 500}) {
    Try({RetryAfter(status, 2s), Response(200)});
    ASSERT_THAT(http_.sent, SizeIs(2));
    ExpectPause(1, 2050ms, 2100ms);
  }
}

TEST_F(RetryingClientTest, GivesItFiveSecondsAtMost) {
  for (const std::chrono::seconds asked : {5s, 6s, 86'400s}) {
    Try({RetryAfter(503, asked), Response(200)});
    ASSERT_THAT(http_.sent, SizeIs(2));
    ExpectPause(1, 5050ms, 5100ms);
  }
}

TEST_F(RetryingClientTest, TimeBeyondAllBoundsIsFiveSecondsToo) {
  Try({RetryAfter(503, std::chrono::seconds::max()), Response(200)});
  ASSERT_THAT(http_.sent, SizeIs(2));
  ExpectPause(1, 5050ms, 5100ms);
}

TEST_F(RetryingClientTest, NoTimeOrLessIsTheUsualPause) {
  for (const std::chrono::seconds asked : {0s, -1s, std::chrono::seconds::min() / 1000}) {
    Try({RetryAfter(503, asked), Response(200)});
    ASSERT_THAT(http_.sent, SizeIs(2));
    ExpectPause(1, 50ms, 100ms);
  }
}

TEST_F(RetryingClientTest, DoesNotWaitBeyondTheDeadline) {
  // The shortest first pause takes 50 ms.
  const auto result = Send({Response(503), Response(200)}, 50ms);
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->status, 503);
  EXPECT_THAT(http_.sent, SizeIs(1));
  EXPECT_THAT(Send({absl::UnavailableError("reset"), Response(200)}, 50ms),
              StatusIs(absl::StatusCode::kUnavailable, "reset"));
  EXPECT_THAT(http_.sent, SizeIs(1));
}

TEST_F(RetryingClientTest, DoesNotWaitBeyondTheDeadlineForAKmsThatAsksForIt) {
  const auto result = Send({RetryAfter(429, 2s), Response(200)}, 2s);
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->status, 429);
  EXPECT_EQ(result->retry_after, 2s);
  EXPECT_THAT(http_.sent, SizeIs(1));
}

TEST_F(RetryingClientTest, EveryPauseEndsBeforeTheDeadline) {
  for (int i = 0; i < 50; ++i) {
    Try({Response(503)}, 60ms + i * 20ms);
    for (const Sent& sent : http_.sent) EXPECT_LT(sent.earliest, deadline_);
  }
}

}  // namespace
}  // namespace okms::http
