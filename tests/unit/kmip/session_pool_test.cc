// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/session_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/secret.h"
#include "support/status_is.h"
#include "unit/await.h"
#include "unit/hex.h"
#include "unit/kmip/fake_stream.h"

namespace okms::kmip {
namespace {

using namespace std::chrono_literals;
using namespace test;  // NOLINT(google-build-using-namespace): the fakes beside this file
using okms::test::Answer;
using okms::test::FromHex;
using okms::test::IsOk;
using okms::test::StatusIs;

Deadline Later() { return Clock::now() + 1h; }

Handler Answers(Handler next) { return Speaks({{1, 4}}, std::move(next)); }

Reply Found(const Request& request) { return Success(request, LocateResponse{{"id"}}); }

// Answers the first requests by these, in order, and the ones after them with Found.
Handler First(std::vector<Handler> replies) {
  auto next = std::make_shared<std::atomic<std::size_t>>(0);
  return Answers([=](const Request& request) {
    const std::size_t i = (*next)++;
    return i < replies.size() ? replies[i](request) : Found(request);
  });
}

// Work that keeps its worker busy until it is released.
class Blocker {
 public:
  absl::StatusOr<int> Work() {
    std::unique_lock lock(mutex_);
    ++started_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return released_; });
    return 0;
  }
  void AwaitStarted(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return started_ >= count; });
  }
  void Release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }
  int started() {
    const std::lock_guard lock(mutex_);
    return started_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int started_ = 0;
  bool released_ = false;
};

class SessionPoolTest : public ::testing::Test {
 protected:
  static constexpr int kMaxSessions = 8;
  static constexpr int kMaxHerd = 6;

  ~SessionPoolTest() override { blocker_.Release(); }

  void Start(Answer<std::string>& answer, Deadline deadline = Later()) {
    pool_->Run<std::string>(
        Rank::kSeldom, deadline,
        [this](Session& session, Deadline until) -> absl::StatusOr<std::string> {
          ++attempts_;
          const auto found = session.Call(LocateRequest{"etcd", {}, {}}, until);
          if (!found.ok()) return found.status();
          return std::string(found->unique_identifiers.front());
        },
        answer.Callback());
  }
  absl::StatusOr<std::string> Run(Deadline deadline = Later()) {
    Answer<std::string> answer;
    Start(answer, deadline);
    return answer.Get();
  }
  void Block(SessionPool& pool, Rank rank) {
    pool.Run<int>(
        rank, Later(), [this](Session&, Deadline) { return blocker_.Work(); },
        [](absl::StatusOr<int>) {});
  }
  // Keeps that many workers busy.
  void Occupy(int workers) {
    for (int i = 0; i < workers; ++i) Block(*pool_, Rank::kSeldom);
    blocker_.AwaitStarted(workers);
    dials_before_ = kms_.dials();
  }
  // All but one worker are busy: that one serves each call of the test after the other.
  void LeaveOneWorker() { Occupy(kMaxSessions - 1); }
  int dials() const { return kms_.dials() - dials_before_; }

  Blocker blocker_;
  std::atomic<int> attempts_ = 0;
  int dials_before_ = 0;
  FakeKms kms_{Answers(Found)};
  FakeDialer dialer_{kms_};
  KnownServer known_;
  std::optional<SessionPool> pool_{std::in_place, dialer_, known_, std::size_t{kMaxSessions},
                                   std::size_t{kMaxHerd}};
};

TEST_F(SessionPoolTest, AnswersOnAnotherThread) {
  Answer<std::thread::id> answer;
  pool_->Run<std::thread::id>(
      Rank::kSeldom, Later(), [](Session&, Deadline) { return std::this_thread::get_id(); },
      answer.Callback());
  const auto thread = answer.Get();
  ASSERT_THAT(thread, IsOk());
  EXPECT_NE(*thread, std::this_thread::get_id());
}

TEST_F(SessionPoolTest, CarriesResultsThatCannotBeCopied) {
  Answer<Secret> answer;
  pool_->Run<Secret>(
      Rank::kSeldom, Later(),
      [](Session&, Deadline) -> absl::StatusOr<Secret> { return Secret(AsBytes("s")); },
      answer.Callback());
  const auto secret = answer.Get();
  ASSERT_THAT(secret, IsOk());
  EXPECT_EQ(AsText(secret->Reveal()), "s");
}

TEST_F(SessionPoolTest, HandsTheDeadlineToTheWork) {
  const Deadline deadline = Later();
  Answer<bool> answer;
  pool_->Run<bool>(
      Rank::kSeldom, deadline,
      [&](Session&, Deadline until) -> absl::StatusOr<bool> { return until == deadline; },
      answer.Callback());
  EXPECT_TRUE(*answer.Get());
}

TEST_F(SessionPoolTest, KeepsItsSession) {
  LeaveOneWorker();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(*Run(), "id");
  EXPECT_EQ(dials(), 1);
}

TEST_F(SessionPoolTest, RefusalKeepsTheSessionAndIsNotRetried) {
  LeaveOneWorker();
  kms_.Handle(First({[](const Request& request) {
    return Refusal(request, ResultReason::kItemNotFound, "gone");
  }}));
  EXPECT_THAT(Run(),
              StatusIs(absl::StatusCode::kNotFound, "KMIP Locate refused: ItemNotFound: gone"));
  EXPECT_EQ(attempts_, 1);
  EXPECT_THAT(Run(), IsOk());
  EXPECT_EQ(dials(), 1);
}

TEST_F(SessionPoolTest, SessionThatTheServerClosedWhileIdleIsReplacedBeforeItIsUsed) {
  LeaveOneWorker();
  ASSERT_THAT(Run(), IsOk());
  kms_.CloseIdle();
  EXPECT_THAT(Run(), IsOk());
  EXPECT_EQ(attempts_, 2);
  EXPECT_EQ(dials(), 2);
}

struct Break {
  const char* name;
  Handler handler;
  std::string message;  // when it happens twice
};

class BrokenSessionTest : public SessionPoolTest, public ::testing::WithParamInterface<Break> {};
INSTANTIATE_TEST_SUITE_P(
    , BrokenSessionTest,
    ::testing::Values(
        Break{"Closed", [](const Request&) { return Closed(); },
              "KMIP Locate: kms: read: closed by the KMS"},
        Break{"Garbage", [](const Request&) { return Bytes("HTTP/1.1 400 Bad Request\r\n"); },
              "KMIP Locate: the answer is HTTP, not KMIP; KMIP answers at port 5696 of the "
              "KMS: check --serv-addr"},
        Break{"Oversized", [](const Request&) { return Bytes(FromHex("42007b01 7fffffff")); },
              "KMIP Locate: malformed TTLV: item 0x42007b has length 2147483647, the limit is "
              "1048568"},
        Break{"ReplyToAnotherRequest",
              [](Request request) {
                request.operation = Operation::kQuery;
                return Success(request, QueryResponse{});
              },
              "KMIP Locate: this is the reply to another request: Query"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(BrokenSessionTest, IsThrownAwayAndTheWorkTriedOnAFreshOne) {
  LeaveOneWorker();
  kms_.Handle(First({GetParam().handler}));
  EXPECT_EQ(*Run(), "id");
  EXPECT_EQ(attempts_, 2);
  EXPECT_EQ(dials(), 2);
  EXPECT_EQ(*Run(), "id");
  EXPECT_EQ(dials(), 2);
}

TEST_P(BrokenSessionTest, IsNotTriedAThirdTime) {
  LeaveOneWorker();
  kms_.Handle(Answers(GetParam().handler));
  EXPECT_EQ(Run().status().message(), GetParam().message);
  EXPECT_EQ(attempts_, 2);
  EXPECT_EQ(dials(), 2);
}

TEST_F(SessionPoolTest, SilenceBreaksTheSessionAndIsNotRetried) {
  LeaveOneWorker();
  kms_.Handle(First({[](const Request&) { return Silent(); }}));
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kDeadlineExceeded,
                              "KMIP Locate: kms: read: no answer in time"));
  EXPECT_EQ(attempts_, 1);
  EXPECT_THAT(Run(), IsOk());
  EXPECT_EQ(dials(), 2);
}

TEST_F(SessionPoolTest, FailedDialIsRetriedOnce) {
  kms_.FailDial(absl::UnavailableError("connection refused"));
  EXPECT_THAT(Run(), IsOk());
  EXPECT_EQ(kms_.dials(), 2);
}

TEST_F(SessionPoolTest, FailedDialIsNotRetriedTwice) {
  kms_.FailDial(absl::UnavailableError("connection refused"));
  kms_.FailDial(absl::UnavailableError("connection refused again"));
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kUnavailable, "connection refused again"));
  EXPECT_EQ(attempts_, 0);
}

TEST_F(SessionPoolTest, UntrustedServerIsNotDialledAgain) {
  kms_.FailDial(absl::UnauthenticatedError("certificate refused"));
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kUnauthenticated, "certificate refused"));
  EXPECT_EQ(kms_.dials(), 1);
}

TEST_F(SessionPoolTest, HeaderThatOneSessionFoundServesTheOthers) {
  kms_.Handle([](const Request& request) {
    if (request.version != ProtocolVersion{1, 4}) return Unreadable();
    return request.operation == Operation::kDiscoverVersions
               ? Success(request, DiscoverVersionsResponse{{{1, 4}}})
               : Found(request);
  });
  ASSERT_THAT(Run(), IsOk());
  kms_.CloseIdle();
  kms_.Forget();
  ASSERT_THAT(Run(), IsOk());
  EXPECT_THAT(kms_.headers(), ::testing::Each("1.4"));
}

// Connections that are taken and closed at once: each dial is a handshake with certificates.
TEST_F(SessionPoolTest, ServerThatHangsUpOnEverybodyCostsFewDials) {
  kms_.Handle([](const Request&) { return Closed(); });
  for (int call = 0; call < 3; ++call) {
    const int before = kms_.dials();
    EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kUnavailable, ::testing::_));
    EXPECT_EQ(kms_.dials() - before, 6) << "one for each header, and one more";
  }
}

TEST_F(SessionPoolTest, ServerThatServedAndHangsUpOnEverybodyCostsTwoDials) {
  ASSERT_THAT(Run(), IsOk());
  kms_.CloseIdle();
  kms_.Handle([](const Request&) { return Closed(); });
  for (int call = 0; call < 6; ++call) {
    const int before = kms_.dials();
    EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kUnavailable, ::testing::_));
    EXPECT_EQ(kms_.dials() - before, 2);
  }
  kms_.Handle(Answers(Found));
  EXPECT_EQ(*Run(), "id");
}

// Another one came in its place, which hangs up on what it cannot read.
TEST_F(SessionPoolTest, ServerThatChangedItsVersionIsUnderstoodAgain) {
  ASSERT_THAT(Run(), IsOk());
  kms_.CloseIdle();
  kms_.Handle([](const Request& request) {
    if (request.version != ProtocolVersion{1, 2}) return Closed();
    return request.operation == Operation::kDiscoverVersions
               ? Success(request, DiscoverVersionsResponse{{{1, 2}}})
               : Found(request);
  });
  int calls = 1;
  while (!Run().ok()) ASSERT_LT(++calls, 5);
}

TEST_F(SessionPoolTest, RefusedVersionIsNegotiatedAnewWithinTheCall) {
  ASSERT_THAT(Run(), IsOk());
  kms_.CloseIdle();
  kms_.Handle([](const Request& request) {
    if (request.version != ProtocolVersion{1, 2}) return Unreadable();
    return request.operation == Operation::kDiscoverVersions
               ? Success(request, DiscoverVersionsResponse{{{1, 2}}})
               : Found(request);
  });
  const int before = kms_.dials();
  EXPECT_EQ(*Run(), "id");
  EXPECT_EQ(kms_.dials() - before, 1);
}

// The session has no version then: it must not be used by the next call.
TEST_F(SessionPoolTest, SessionWhoseNegotiationAnewFailedIsThrownAway) {
  LeaveOneWorker();
  ASSERT_THAT(Run(), IsOk());
  kms_.CloseIdle();
  kms_.Handle([](const Request&) { return Unreadable(); });
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition, ::testing::_));
  kms_.Handle(Answers(Found));
  kms_.Forget();
  EXPECT_EQ(*Run(), "id");
  EXPECT_EQ(kms_.headers().back(), "1.4");
}

// ---- Replies that are not ours: with several requests a second, whoever takes one for another
// hands a Secret to the wrong reader.

// Answers Locate with the name that was asked for; `spoil` makes what is sent of all
// replies so far, the last one being that to this request.
class MixUpTest : public SessionPoolTest {
 protected:
  void Serve(std::function<std::string(const std::vector<std::string>&)> spoil) {
    kms_.Handle(Answers([this, spoil](const Request& request) {
      const auto locate = LocateRequest::Read(request.payload);
      replies_.push_back(Success(request, LocateResponse{{*locate->name}}).bytes);
      return Bytes(spoil(replies_));
    }));
  }
  absl::StatusOr<std::string> Ask(const std::string& name) {
    Answer<std::string> answer;
    pool_->Run<std::string>(
        Rank::kSeldom, Later(),
        [name](Session& session, Deadline until) -> absl::StatusOr<std::string> {
          const auto found = session.Call(LocateRequest{name, {}, {}}, until);
          if (!found.ok()) return found.status();
          return std::string(found->unique_identifiers.front());
        },
        answer.Callback());
    return answer.Get();
  }
  std::vector<std::string> replies_;
};

TEST_F(MixUpTest, DelayedRepliesAreNobodys) {
  LeaveOneWorker();
  Serve([](const auto& replies) {
    return replies.size() < 2 ? replies.back() : replies[replies.size() - 2];
  });
  EXPECT_EQ(*Ask("a"), "a");
  for (const std::string name : {"b", "c"}) {
    EXPECT_THAT(Ask(name), StatusIs(absl::StatusCode::kDataLoss,
                                    "KMIP Locate: this is the reply to another request"));
  }
}

TEST_F(MixUpTest, DoubledReplyIsNobodys) {
  LeaveOneWorker();
  // The second copy comes with the next request, as one that was still under way when the session
  // was last found quiet.
  Serve([](const auto& replies) {
    return replies.size() == 2 ? replies.front() + replies.back() : replies.back();
  });
  EXPECT_EQ(*Ask("a"), "a");
  EXPECT_EQ(*Ask("b"), "b");  // on a fresh session
  EXPECT_EQ(*Ask("c"), "c");
  EXPECT_EQ(dials(), 2);
}

TEST_F(MixUpTest, SwappedRepliesAreNobodys) {
  // Of two sessions, each gets the other's.
  std::mutex mutex;
  std::condition_variable both;
  std::vector<std::string> replies;
  kms_.Handle(Answers([&](const Request& request) {
    const auto locate = LocateRequest::Read(request.payload);
    const std::string mine = Success(request, LocateResponse{{*locate->name}}).bytes;
    std::unique_lock lock(mutex);
    const std::size_t index = replies.size();
    replies.push_back(mine);
    both.notify_all();
    if (index >= 2) return Bytes(mine);
    both.wait(lock, [&] { return replies.size() >= 2; });
    return Bytes(replies[1 - index]);
  }));
  std::thread other([&] { EXPECT_EQ(*Ask("a"), "a"); });
  EXPECT_EQ(*Ask("b"), "b");
  other.join();
}

TEST_F(SessionPoolTest, ServesNoMoreThanItsSessionsAtATime) {
  Occupy(kMaxSessions);
  Answer<std::string> waiting;
  Start(waiting);
  EXPECT_EQ(kms_.dials(), kMaxSessions);
  EXPECT_EQ(attempts_, 0);
  blocker_.Release();
  EXPECT_EQ(*waiting.Get(), "id");
  EXPECT_EQ(kms_.dials(), kMaxSessions);
}

TEST_F(SessionPoolTest, AHerdLeavesSessionsToWhatComesSeldom) {
  for (int i = 0; i < 3 * kMaxSessions; ++i) Block(*pool_, Rank::kHerd);
  blocker_.AwaitStarted(kMaxHerd);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(*Run(), "id");
  EXPECT_EQ(blocker_.started(), kMaxHerd);
  EXPECT_LE(kms_.dials(), kMaxSessions);
  blocker_.Release();
  blocker_.AwaitStarted(3 * kMaxSessions);
}

TEST_F(SessionPoolTest, RanksShareSessions) {
  SessionPool pool(dialer_, known_, 1, 1);
  for (const Rank rank : {Rank::kHerd, Rank::kSeldom, Rank::kHerd}) {
    Answer<int> answer;
    pool.Run<int>(
        rank, Later(), [](Session&, Deadline) { return 1; }, answer.Callback());
    EXPECT_THAT(answer.Get(), IsOk());
  }
  EXPECT_EQ(kms_.dials(), 1);
}

TEST_F(SessionPoolTest, WhatComesSeldomGoesFirst) {
  SessionPool pool(dialer_, known_, 1, 1);
  Block(pool, Rank::kHerd);
  blocker_.AwaitStarted(1);
  std::vector<Rank> order;  // of the pool's one thread
  std::vector<Answer<int>> answers(4);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const Rank rank = i < 2 ? Rank::kHerd : Rank::kSeldom;
    pool.Run<int>(
        rank, Later(),
        [&order, rank](Session&, Deadline) {
          order.push_back(rank);
          return 1;
        },
        answers[i].Callback());
  }
  blocker_.Release();
  for (auto& answer : answers) ASSERT_THAT(answer.Get(), IsOk());
  EXPECT_THAT(order,
              ::testing::ElementsAre(Rank::kSeldom, Rank::kSeldom, Rank::kHerd, Rank::kHerd));
}

TEST_F(SessionPoolTest, AHerdFillsItsOwnQueueOnly) {
  SessionPool pool(dialer_, known_, 1, 1);
  Block(pool, Rank::kHerd);
  blocker_.AwaitStarted(1);
  for (std::size_t i = 0; i < SessionPool::kMaxWaiting; ++i) Block(pool, Rank::kHerd);
  Answer<int> refused;
  const auto work = [](Session&, Deadline) { return 1; };
  pool.Run<int>(Rank::kHerd, Later(), work, refused.Callback());
  EXPECT_THAT(refused.Get(), StatusIs(absl::StatusCode::kResourceExhausted, ::testing::_));
  Answer<int> seldom;
  pool.Run<int>(Rank::kSeldom, Later(), work, seldom.Callback());
  blocker_.Release();
  EXPECT_THAT(seldom.Get(), IsOk());
}

TEST_F(SessionPoolTest, DeadlineThatPassesInTheQueue) {
  Occupy(kMaxSessions);
  Answer<std::string> waiting;
  Start(waiting, Clock::now());
  blocker_.Release();
  EXPECT_THAT(waiting.Get(),
              StatusIs(absl::StatusCode::kDeadlineExceeded, "the KMS was busy for too long"));
  EXPECT_EQ(attempts_, 0);
}

TEST_F(SessionPoolTest, RefusesAtOnceWhenTooMuchIsWaiting) {
  Occupy(kMaxSessions);
  std::vector<Answer<std::string>> waiting(SessionPool::kMaxWaiting);
  for (Answer<std::string>& answer : waiting) Start(answer);
  std::optional<std::thread::id> answered_on;
  pool_->Run<int>(
      Rank::kSeldom, Later(), [](Session&, Deadline) -> absl::StatusOr<int> { return 0; },
      [&](absl::StatusOr<int> result) {
        answered_on = std::this_thread::get_id();
        EXPECT_THAT(result, StatusIs(absl::StatusCode::kResourceExhausted,
                                     "too many requests are waiting for the KMS"));
      });
  EXPECT_EQ(answered_on, std::this_thread::get_id());
  blocker_.Release();
  for (Answer<std::string>& answer : waiting) EXPECT_EQ(*answer.Get(), "id");
}

TEST_F(SessionPoolTest, DestructorEndsWhatWaitsAndAwaitsWhatRuns) {
  Answer<int> running;
  Occupy(kMaxSessions - 1);
  pool_->Run<int>(
      Rank::kSeldom, Later(), [this](Session&, Deadline) { return blocker_.Work(); },
      running.Callback());
  blocker_.AwaitStarted(kMaxSessions);
  Answer<std::string> waiting;
  Start(waiting);
  std::thread destroyer([&] { pool_.reset(); });
  EXPECT_THAT(waiting.Get(), StatusIs(absl::StatusCode::kCancelled, "the plugin is stopping"));
  blocker_.Release();
  destroyer.join();
  EXPECT_THAT(running.Get(), IsOk());
  EXPECT_EQ(attempts_, 0);
}

TEST_F(SessionPoolTest, CancelledDialerEndsWhatHangs) {
  kms_.Handle(Answers([](const Request&) { return Hangs(); }));
  std::vector<Answer<std::string>> answers(kMaxSessions + 3);  // some wait in the queue
  for (Answer<std::string>& answer : answers) Start(answer);
  kms_.AwaitHanging(kMaxSessions);
  dialer_.Cancel();
  pool_.reset();
  for (Answer<std::string>& answer : answers) {
    EXPECT_THAT(answer.Get(), StatusIs(absl::StatusCode::kCancelled, ::testing::_));
  }
}

TEST_F(SessionPoolTest, DestructorOfAnIdlePoolReturns) {
  ASSERT_THAT(Run(), IsOk());
  pool_.reset();
}

TEST_F(SessionPoolTest, ManyCallersAtOnceAreAllAnswered) {
  constexpr int kCallers = 16;
  constexpr int kCalls = 50;
  std::atomic<int> answered = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&] {
      for (int j = 0; j < kCalls; ++j) answered += Run().ok() ? 1 : 0;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(answered, kCallers * kCalls);
  EXPECT_LE(kms_.dials(), kMaxSessions);
}

}  // namespace
}  // namespace okms::kmip
