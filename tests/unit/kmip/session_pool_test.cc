// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/session_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/secret.h"
#include "support/status_is.h"
#include "unit/await.h"
#include "unit/hex.h"
#include "unit/kmip/fake_channel.h"

namespace okms::kmip {
namespace {

using namespace std::chrono_literals;
using namespace test;  // NOLINT(google-build-using-namespace): the fakes beside this file
using okms::test::Answer;
using okms::test::FromHex;
using okms::test::IsOk;
using okms::test::StatusIs;
using ::testing::_;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::Le;

constexpr auto kUnavailable = absl::StatusCode::kUnavailable;
constexpr auto kDeadlineExceeded = absl::StatusCode::kDeadlineExceeded;

Deadline Later() { return Clock::now() + 1h; }

Handler Answers(Handler next) { return Speaks({{1, 4}}, std::move(next)); }

// The name that was asked for.
Said Found(const Request& request) {
  const auto locate = LocateRequest::Read(request.payload);
  return Success(request, LocateResponse{{*locate->name}});
}

// Answers the first requests by these, in order, and the ones after them with Found.
Handler First(std::vector<Handler> replies) {
  auto next = std::make_shared<std::atomic<std::size_t>>(0);
  return Answers([=](const Request& request) {
    const std::size_t i = (*next)++;
    return i < replies.size() ? replies[i](request) : Found(request);
  });
}

class SessionPoolTest : public ::testing::Test {
 protected:
  static constexpr int kMost = 16;
  static constexpr int kMostDecrypts = 12;

  ~SessionPoolTest() override { pool_.reset(); }

  void Start(Answer<std::string>& answer, Rank rank = Rank::kDecrypt, Deadline deadline = Later(),
             const std::string& name = "id") {
    auto found = std::make_shared<std::string>();
    pool_->Submit(MakeCall<LocateRequest>(
        rank, deadline,
        [name](ProtocolVersion) {
          return LocateRequest{name, {}, {}};
        },
        [found](const LocateResponse& response, ProtocolVersion) {
          *found = std::string(response.unique_identifiers.front());
          return absl::OkStatus();
        },
        [found, done = answer.Callback()](const Outcome& outcome) mutable {
          if (outcome.status.ok()) {
            done(*found);
          } else {
            done(outcome.status);
          }
        }));
  }
  absl::StatusOr<std::string> Run(Rank rank = Rank::kDecrypt, Deadline deadline = Later(),
                                  const std::string& name = "id") {
    Answer<std::string> answer;
    Start(answer, rank, deadline, name);
    return answer.Get();
  }
  // So many sessions have something to do, until Release.
  void Occupy(int sessions, Rank rank = Rank::kDecrypt) {
    kms_.Handle(Answers([](const Request& request) { return Held(Found(request)); }));
    for (int i = 0; i < sessions; ++i) Start(held_.emplace_back(), rank);
    kms_.AwaitAsked(Operation::kLocate, sessions);
  }
  void OneSession() { pool_.emplace(*loop_, connector_, known_, counters_, std::size_t{1}); }
  int Asked() const {
    const std::vector<Operation> all = kms_.operations();
    return static_cast<int>(std::count(all.begin(), all.end(), Operation::kLocate));
  }
  // The connections that carried what was asked.
  std::vector<int> Connections() const {
    std::vector<int> connections;
    for (const Seen& seen : kms_.seen()) {
      if (seen.operation == Operation::kLocate) connections.push_back(seen.connection);
    }
    return connections;
  }
  std::vector<std::size_t> Items() const {
    std::vector<std::size_t> items;
    for (const Seen& seen : kms_.seen()) {
      if (seen.operation == Operation::kLocate) items.push_back(seen.items);
    }
    return items;
  }

  FakeKms kms_{Answers(Found)};
  std::unique_ptr<IoLoop> loop_ = *IoLoop::Create();
  FakeConnector connector_{*loop_, kms_};
  KnownServer known_;
  Traffic traffic_;
  Counters counters_{traffic_};
  std::deque<Answer<std::string>> held_;
  std::optional<SessionPool> pool_{std::in_place, *loop_,    connector_,
                                   known_,        counters_, std::size_t{kMost}};
};

TEST_F(SessionPoolTest, KeepsItsSession) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(*Run(), "id");
  EXPECT_EQ(kms_.dials(), 1);
  EXPECT_EQ(traffic_.succeeded.value(), 5);
  EXPECT_THAT(counters_.batch.Stats().counts, ElementsAre(5, 0, 0, 0, 0, 0, 0));
}

TEST_F(SessionPoolTest, OnlyTheFirstSessionNegotiatesWhileOneIsEnough) {
  ASSERT_THAT(Run(), IsOk());
  kms_.CloseIdle();
  kms_.Forget();
  ASSERT_THAT(Run(), IsOk());
  EXPECT_THAT(kms_.operations(), ElementsAre(Operation::kLocate));
}

TEST_F(SessionPoolTest, RefusalKeepsTheSessionAndIsNotRetried) {
  kms_.Handle(First({[](const Request& request) {
    return Refusal(request, ResultReason::kItemNotFound, "gone");
  }}));
  EXPECT_THAT(Run(),
              StatusIs(absl::StatusCode::kNotFound, "KMIP Locate refused: ItemNotFound: gone"));
  EXPECT_EQ(Asked(), 1);
  EXPECT_EQ(traffic_.refused.value(), 1);
  EXPECT_EQ(traffic_.failed.value(), 0);
  EXPECT_EQ(traffic_.request.failed.value(), 0);
  EXPECT_THAT(Run(), IsOk());
  EXPECT_EQ(kms_.dials(), 1);
}

// What is written to a dead session shows that all are: the next try is on a fresh one.
TEST_F(SessionPoolTest, SessionsThatDiedWhileIdleCostNoCall) {
  Occupy(3);
  kms_.Release();
  for (auto& answer : held_) ASSERT_THAT(answer.Get(), IsOk());
  const int before = kms_.dials();
  kms_.CloseIdle();
  EXPECT_THAT(Run(), IsOk());
  EXPECT_EQ(kms_.dials(), before + 1);
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
  kms_.Handle(First({GetParam().handler}));
  EXPECT_EQ(*Run(), "id");
  EXPECT_EQ(traffic_.retries.value(), 1);
  EXPECT_EQ(traffic_.request.failed.value(), 1);
  EXPECT_EQ(traffic_.succeeded.value(), 1);
  EXPECT_EQ(Asked(), 2);
  EXPECT_EQ(kms_.dials(), 2);
  EXPECT_EQ(*Run(), "id");
  EXPECT_EQ(kms_.dials(), 2);
}

TEST_P(BrokenSessionTest, IsNotTriedAThirdTime) {
  kms_.Handle(Answers(GetParam().handler));
  EXPECT_EQ(Run().status().message(), GetParam().message);
  EXPECT_EQ(Asked(), 2);
  EXPECT_EQ(kms_.dials(), 2);
}

TEST_F(SessionPoolTest, SilenceEndsTheSessionAndIsNotRetried) {
  kms_.Handle(First({[](const Request&) { return Hangs(); }}));
  EXPECT_THAT(Run(Rank::kDecrypt, Clock::now() + 300ms),
              StatusIs(kDeadlineExceeded, "KMIP Locate: kms: read: no answer in time"));
  EXPECT_EQ(traffic_.failed.value(), 1);
  EXPECT_EQ(Asked(), 1);
  EXPECT_THAT(Run(), IsOk());
  EXPECT_EQ(kms_.dials(), 2);
}

TEST_F(SessionPoolTest, FailedDialIsRetriedOnceAServerWasUnderstood) {
  ASSERT_THAT(Run(), IsOk());
  kms_.CloseIdle();
  kms_.FailDial(absl::UnavailableError("connection refused"));
  EXPECT_THAT(Run(), IsOk());
  EXPECT_EQ(kms_.dials(), 3);
}

TEST_F(SessionPoolTest, FailedDialIsNotRetriedTwice) {
  ASSERT_THAT(Run(), IsOk());
  kms_.CloseIdle();
  kms_.FailDial(absl::UnavailableError("connection refused"));
  kms_.FailDial(absl::UnavailableError("connection refused again"));
  EXPECT_THAT(Run(), StatusIs(kUnavailable, "connection refused again"));
  EXPECT_EQ(kms_.dials(), 3);
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
  EXPECT_THAT(kms_.headers(), Each("1.4"));
}

// Connections that are taken and closed at once: each dial is a handshake with certificates.
TEST_F(SessionPoolTest, ServerThatHangsUpOnEverybodyCostsFewDials) {
  kms_.Handle([](const Request&) { return Closed(); });
  for (int call = 0; call < 3; ++call) {
    const int before = kms_.dials();
    EXPECT_THAT(Run(), StatusIs(kUnavailable, _));
    EXPECT_EQ(kms_.dials() - before, 6) << "one for each header, and one more";
  }
}

TEST_F(SessionPoolTest, ServerThatServedAndHangsUpOnEverybodyCostsTwoDials) {
  ASSERT_THAT(Run(), IsOk());
  kms_.CloseIdle();
  kms_.Handle([](const Request&) { return Closed(); });
  EXPECT_THAT(Run(), StatusIs(kUnavailable, _));  // on the one that is dead, and another one
  for (int call = 0; call < 6; ++call) {
    const int before = kms_.dials();
    EXPECT_THAT(Run(), StatusIs(kUnavailable, _));
    EXPECT_LE(kms_.dials() - before, 2);
  }
  kms_.Handle(Answers(Found));
  EXPECT_EQ(*Run(), "id");
}

// A herd costs no more.
TEST_F(SessionPoolTest, ServerThatIsAwayIsDialledForAllAtOnce) {
  for (int i = 0; i < 6; ++i) kms_.FailDial(absl::UnavailableError("connection refused"));
  loop_->RunInTurn([&] {
    for (int i = 0; i < 500; ++i) Start(held_.emplace_back());
  });
  for (auto& answer : held_)
    EXPECT_THAT(answer.Get(), StatusIs(kUnavailable, "connection refused"));
  EXPECT_EQ(kms_.dials(), 6);
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
  while (!Run().ok()) ASSERT_LT(++calls, 6);
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
  ASSERT_THAT(Run(), IsOk());
  kms_.CloseIdle();
  kms_.Handle([](const Request&) { return Unreadable(); });
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition, _));
  kms_.Handle(Answers(Found));
  kms_.Forget();
  EXPECT_EQ(*Run(), "id");
  EXPECT_EQ(kms_.headers().back(), "1.4");
}

// ---- Replies that are not ours: with several requests a second, whoever takes one for another
// hands a Secret to the wrong reader.

// `spoil` makes what is sent of all replies so far, the last one being that to this request.
class MixUpTest : public SessionPoolTest {
 protected:
  void Serve(std::function<std::string(const std::vector<std::string>&)> spoil) {
    kms_.Handle(Answers([this, spoil](const Request& request) {
      replies_.push_back(Found(request).bytes);
      return Bytes(spoil(replies_));
    }));
  }
  absl::StatusOr<std::string> Ask(const std::string& name) {
    return Run(Rank::kDecrypt, Later(), name);
  }
  std::vector<std::string> replies_;
};

TEST_F(MixUpTest, DelayedRepliesAreNobodys) {
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
  Serve([](const auto& replies) {
    return replies.size() == 2 ? replies.front() + replies.back() : replies.back();
  });
  EXPECT_EQ(*Ask("a"), "a");
  EXPECT_EQ(*Ask("b"), "b");  // on a fresh session
  EXPECT_EQ(*Ask("c"), "c");
  EXPECT_EQ(kms_.dials(), 2);
}

TEST_F(MixUpTest, BytesBehindAReplyEndTheSession) {
  Serve([](const auto& replies) {
    return replies.size() == 1 ? replies.back() + replies.back() : replies.back();
  });
  EXPECT_EQ(*Ask("a"), "a");
  EXPECT_EQ(*Ask("b"), "b");
  EXPECT_EQ(kms_.dials(), 2);
}

// ---- Who goes first, and how many there are.

TEST_F(SessionPoolTest, AHerdLeavesSessionsToWhatComesSeldom) {
  known_.BatchRefused(Clock::now());
  Occupy(kMostDecrypts);
  for (int i = 0; i < 3 * kMost; ++i) Start(held_.emplace_back());
  kms_.Handle(Answers(Found));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(*Run(Rank::kEncrypt), "id");
    EXPECT_EQ(*Run(Rank::kCheck), "id");
  }
  EXPECT_EQ(Asked(), kMostDecrypts + 20);
  EXPECT_LE(kms_.dials(), kMost);
  kms_.Release();
  for (auto& answer : held_) EXPECT_THAT(answer.Get(), IsOk());
}

TEST_F(SessionPoolTest, ChecksThatHangLeaveSessionsToCalls) {
  kms_.Handle(Answers([](const Request& request) { return Held(Found(request)); }));
  for (int i = 0; i < 20; ++i) Start(held_.emplace_back(), Rank::kCheck);
  kms_.AwaitAsked(Operation::kLocate, 8);
  kms_.Handle(Answers(Found));
  EXPECT_THAT(Run(Rank::kEncrypt), IsOk());
  EXPECT_THAT(Run(Rank::kDecrypt), IsOk());
  EXPECT_EQ(Asked(), 10);
  kms_.Release();
  for (auto& answer : held_) EXPECT_THAT(answer.Get(), IsOk());
}

TEST_F(SessionPoolTest, OneSessionServesAllRanks) {
  OneSession();
  for (const Rank rank : {Rank::kDecrypt, Rank::kEncrypt, Rank::kCheck, Rank::kDecrypt}) {
    EXPECT_THAT(Run(rank), IsOk());
  }
  EXPECT_EQ(kms_.dials(), 1);
}

TEST_F(SessionPoolTest, ChecksGoFirstThenEncryptsThenDecryptsByDeadline) {
  OneSession();
  known_.BatchRefused(Clock::now());
  Occupy(1);
  std::vector<std::string> order;
  kms_.Handle(Answers([&](const Request& request) {
    order.emplace_back(*LocateRequest::Read(request.payload)->name);
    return Found(request);
  }));
  Start(held_.emplace_back(), Rank::kDecrypt, Later() + 2h, "late");
  Start(held_.emplace_back(), Rank::kDecrypt, Later() + 1h, "soon");
  Start(held_.emplace_back(), Rank::kEncrypt, Later() + 3h, "encrypt");
  Start(held_.emplace_back(), Rank::kCheck, Later() + 3h, "check");
  kms_.Release();
  for (auto& answer : held_) EXPECT_THAT(answer.Get(), IsOk());
  EXPECT_THAT(order, ElementsAre("check", "encrypt", "soon", "late"));
}

// An Encrypt, and its proof, which is asked for when that is answered.
class ProofTest : public SessionPoolTest {
 protected:
  absl::StatusOr<std::string> EncryptAndProve() {
    Answer<std::string> proof;
    pool_->Submit(MakeCall<LocateRequest>(
        Rank::kEncrypt, Later(),
        [](ProtocolVersion) {
          return LocateRequest{"id", {}, {}};
        },
        [](const LocateResponse&, ProtocolVersion) { return absl::OkStatus(); },
        [&](const Outcome& outcome) {
          EXPECT_THAT(outcome.status, IsOk());
          Start(proof, Rank::kCheck);
        }));
    return proof.Get();
  }
  void ExpectEachOnTwo() {
    const std::vector<int> connections = Connections();
    ASSERT_EQ(connections.size() % 2, 0U);
    for (std::size_t i = 0; i < connections.size(); i += 2) {
      EXPECT_NE(connections[i], connections[i + 1]);
    }
  }
};

// The next connection may lead to another replica.
TEST_F(ProofTest, GoesByAnotherSession) {
  for (int i = 0; i < 5; ++i) ASSERT_THAT(EncryptAndProve(), IsOk());
  ExpectEachOnTwo();
  EXPECT_EQ(kms_.dials(), 2);
}

TEST_F(ProofTest, GoesByAnotherSessionBesideAHerd) {
  Occupy(kMostDecrypts);
  kms_.Handle(Answers(Found));
  kms_.Forget();
  for (int i = 0; i < 5; ++i) ASSERT_THAT(EncryptAndProve(), IsOk());
  ExpectEachOnTwo();
}

TEST_F(ProofTest, GoesByAnotherSessionWhereTwoAreLetIn) {
  kms_.LetIn(2);
  for (int i = 0; i < 5; ++i) ASSERT_THAT(EncryptAndProve(), IsOk());
  ExpectEachOnTwo();
}

TEST_F(ProofTest, GoesByTheOnlySessionThereMayBe) {
  OneSession();
  for (int i = 0; i < 5; ++i) ASSERT_THAT(EncryptAndProve(), IsOk());
  EXPECT_EQ(kms_.dials(), 1);
}

TEST_F(ProofTest, GoesByTheOnlySessionThatIsLetIn) {
  kms_.LetIn(1);
  for (int i = 0; i < 5; ++i) ASSERT_THAT(EncryptAndProve(), IsOk());
}

TEST_F(SessionPoolTest, AHerdFillsItsOwnQueueOnly) {
  OneSession();
  Occupy(1);
  for (std::size_t i = 0; i < CallQueue::kMost; ++i) Start(held_.emplace_back());
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kResourceExhausted,
                              "too many requests are waiting for the KMS"));
  EXPECT_EQ(traffic_.turned_away.value(), 1);
  EXPECT_EQ(counters_.waiting[static_cast<std::size_t>(Rank::kDecrypt)].value(), CallQueue::kMost);
  Answer<std::string> seldom;
  Start(seldom, Rank::kEncrypt);
  kms_.Release();
  EXPECT_THAT(seldom.Get(), IsOk());
  for (auto& answer : held_) EXPECT_THAT(answer.Get(), IsOk());
}

TEST_F(SessionPoolTest, WhatIsPastItsDeadlineNeverReachesTheKms) {
  OneSession();
  Occupy(1);
  EXPECT_THAT(Run(Rank::kDecrypt, Clock::now() + 50ms),
              StatusIs(kDeadlineExceeded, "the KMS was busy for too long"));
  kms_.Release();
  EXPECT_THAT(held_.front().Get(), IsOk());
  EXPECT_THAT(Run(), IsOk());
  EXPECT_EQ(Asked(), 2);
}

// What was late before it could be asked, as after a stall: no connection is thrown away for it.
TEST_F(SessionPoolTest, WhatIsLateIsNotAskedAnyMore) {
  ASSERT_THAT(Run(), IsOk());
  loop_->RunInTurn([&] {
    for (int i = 0; i < 3; ++i) Start(held_.emplace_back(), Rank::kDecrypt, Clock::now());
  });
  for (auto& answer : held_) {
    EXPECT_THAT(answer.Get(), StatusIs(kDeadlineExceeded, "the KMS was busy for too long"));
  }
  EXPECT_EQ(Asked(), 1);
  EXPECT_EQ(kms_.dials(), 1);
}

// It has to come to a version anew, and does not answer: others are opened beside it.
TEST_F(SessionPoolTest, SessionThatHangsInItsNegotiationAnewHoldsNobodyUp) {
  ASSERT_THAT(Run(), IsOk());
  kms_.CloseIdle();
  auto asked = std::make_shared<std::atomic<int>>(0);
  kms_.Handle([asked](const Request& request) {
    switch ((*asked)++) {
      case 0: return Unreadable();
      case 1: return Hangs();
      default: return Answers(Found)(request);
    }
  });
  EXPECT_THAT(Run(), IsOk());
  EXPECT_EQ(kms_.dials(), 3);
}

// The KMS refuses one more, later all are gone: what is told is of now.
TEST_F(SessionPoolTest, OldReasonsAreNotTold) {
  ASSERT_THAT(Run(), IsOk());
  kms_.FailDial(absl::UnavailableError("an old reason"));
  Occupy(1);
  Start(held_.emplace_back(), Rank::kCheck);  // which opens another one in vain
  kms_.AwaitDials(2);
  kms_.Release();
  for (auto& answer : held_) ASSERT_THAT(answer.Get(), IsOk());
  kms_.CloseIdle();
  kms_.HangDial();
  EXPECT_THAT(Run(Rank::kDecrypt, Clock::now() + 300ms),
              StatusIs(kDeadlineExceeded, "kms: connect: no answer in time"));
}

TEST_F(SessionPoolTest, SessionsAreOpenedWhileCallsWait) {
  known_.BatchRefused(Clock::now());
  Occupy(3);
  EXPECT_THAT(kms_.dials(), AllOf(Ge(3), Le(6)));
  kms_.Release();
  for (auto& answer : held_) EXPECT_THAT(answer.Get(), IsOk());
}

// A server that lets in only so many: those that are there go on.
TEST_F(SessionPoolTest, ServerThatLetsInTwoServesAll) {
  kms_.LetIn(2);
  std::vector<std::thread> callers;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 16; ++i) {
    callers.emplace_back([&, i] {
      const Rank rank = i < 2 ? Rank::kCheck : i < 4 ? Rank::kEncrypt : Rank::kDecrypt;
      for (int j = 0; j < 100; ++j) answered += Run(rank).ok() ? 1 : 0;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(answered, 1600);
  EXPECT_LE(kms_.dials(), 10);
}

TEST_F(SessionPoolTest, AnOpeningThatHangsHoldsNobodyUpWhoHasASession) {
  ASSERT_THAT(Run(), IsOk());
  for (int i = 0; i < 20; ++i) kms_.HangDial();
  std::vector<std::thread> callers;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      for (int j = 0; j < 50; ++j) answered += Run().ok() ? 1 : 0;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(answered, 400);
}

// A balancer with one dead replica behind it: the next connection leads to another.
TEST_F(SessionPoolTest, ASilentOpeningIsNotTheOnlyOne) {
  kms_.HangDial();
  EXPECT_THAT(Run(), IsOk());
  EXPECT_EQ(kms_.dials(), 2);
}

TEST_F(SessionPoolTest, WhatAnOpeningComesToIsSaidAtTheDeadline) {
  kms_.HangDial();
  EXPECT_THAT(Run(Rank::kDecrypt, Clock::now() + 300ms),
              StatusIs(kDeadlineExceeded, "kms: connect: no answer in time"));
}

// An address that takes connections, and then never answers, costs no call while there is another.
TEST_F(SessionPoolTest, SessionsProveThemselvesWhereThereAreSeveralAddresses) {
  connector_.SetSeveralAddresses();
  ASSERT_THAT(Run(), IsOk());
  kms_.CloseIdle();
  kms_.Forget();
  ASSERT_THAT(Run(), IsOk());
  EXPECT_THAT(kms_.operations(), ElementsAre(Operation::kDiscoverVersions, Operation::kLocate));
}

// ---- Several in one request.

class TogetherTest : public SessionPoolTest {
 protected:
  // So many wait for the one session.
  void Queue(int calls, Deadline deadline = Later()) {
    OneSession();
    Occupy(1);
    kms_.Handle(Answers(Found));
    for (int i = 0; i < calls; ++i) Start(calls_.emplace_back(), Rank::kDecrypt, deadline, Name(i));
    kms_.Forget();
    kms_.Release();
  }
  static std::string Name(int i) { return "key-" + std::to_string(i); }
  void ExpectEachItsOwn() {
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      const auto answer = calls_[i].Get();
      ASSERT_THAT(answer, IsOk());
      EXPECT_EQ(*answer, Name(static_cast<int>(i)));
    }
  }

  std::deque<Answer<std::string>> calls_;
};

TEST_F(TogetherTest, WhatWaitsTravelsTogether) {
  Queue(40);
  ExpectEachItsOwn();
  EXPECT_THAT(Items(), ElementsAre(16, 16, 8));
}

TEST_F(TogetherTest, EachHasItsOwnError) {
  OneSession();
  Occupy(1);
  kms_.Handle(Answers([](const Request& request) {
    return *LocateRequest::Read(request.payload)->name == "key-1"
               ? Refusal(request, ResultReason::kItemNotFound, "gone")
               : Found(request);
  }));
  for (int i = 0; i < 3; ++i) Start(calls_.emplace_back(), Rank::kDecrypt, Later(), Name(i));
  kms_.Release();
  EXPECT_EQ(*calls_[0].Get(), "key-0");
  EXPECT_THAT(calls_[1].Get(), StatusIs(absl::StatusCode::kNotFound, _));
  EXPECT_EQ(*calls_[2].Get(), "key-2");
  EXPECT_EQ(kms_.dials(), 1);
}

TEST_F(TogetherTest, AnyOrderOfAnswersWillDo) {
  kms_.HandleBatches(Batches([](auto& items) { std::reverse(items.begin(), items.end()); }));
  Queue(16);
  ExpectEachItsOwn();
  EXPECT_THAT(Items(), ElementsAre(16));
  EXPECT_EQ(counters_.batch.Stats().counts[4], 1);
}

TEST_F(TogetherTest, WhatIsLeftOutIsAskedAgain) {
  kms_.HandleBatches(Batches([](auto& items) { items.resize(3); }));
  Queue(5);
  ExpectEachItsOwn();
  EXPECT_THAT(Items(), ElementsAre(5, 1, 1));
}

TEST_F(TogetherTest, ServerThatRefusesThemIsAskedOneByOne) {
  kms_.HandleBatches([](const auto&, const auto&) { return Unreadable(); });
  Queue(5);
  ExpectEachItsOwn();
  EXPECT_THAT(Items(), ElementsAre(5, 1, 1, 1, 1, 1));
}

TEST_F(TogetherTest, ServerThatMixesThemUpIsAskedOneByOne) {
  kms_.HandleBatches(Batches([](auto& items) { items[0].batch_item_id = items[1].batch_item_id; }));
  Queue(5);
  ExpectEachItsOwn();
  std::vector<std::size_t> items = Items();
  EXPECT_EQ(items.front(), 5U);
  items.erase(items.begin());
  EXPECT_THAT(items, Each(1));
}

TEST_F(TogetherTest, ServerThatHangsUpOnThemIsAskedOneByOne) {
  kms_.HandleBatches([](const auto&, const auto&) { return Closed(); });
  Queue(5);
  ExpectEachItsOwn();
}

TEST_F(TogetherTest, OneThatBreaksTheConnectionFailsAlone) {
  OneSession();
  Occupy(1);
  kms_.HandleBatches([](const auto&, const auto&) { return Closed(); });
  kms_.Handle(Answers([](const Request& request) {
    return *LocateRequest::Read(request.payload)->name == "key-1" ? Closed() : Found(request);
  }));
  for (int i = 0; i < 3; ++i) Start(calls_.emplace_back(), Rank::kDecrypt, Later(), Name(i));
  kms_.Release();
  EXPECT_EQ(*calls_[0].Get(), "key-0");
  EXPECT_THAT(calls_[1].Get(), StatusIs(kUnavailable, _));
  EXPECT_EQ(*calls_[2].Get(), "key-2");
}

TEST_F(TogetherTest, NobodyWaitsForOthersBeyondItsDeadline) {
  kms_.HandleBatches([](const auto&, const auto&) { return Hangs(); });
  Queue(2, Clock::now() + 100ms);
  Start(calls_.emplace_back(), Rank::kDecrypt, Later(), Name(2));
  EXPECT_THAT(calls_[0].Get(), StatusIs(kDeadlineExceeded, _));
  EXPECT_THAT(calls_[1].Get(), StatusIs(kDeadlineExceeded, _));
  kms_.HandleBatches(Batches());
  // What was asked with them may still be answered: its session is not given up for their sake.
}

TEST_F(TogetherTest, ChecksAndEncryptsTravelAlone) {
  OneSession();
  Occupy(1);
  kms_.Handle(Answers(Found));
  for (int i = 0; i < 3; ++i) Start(calls_.emplace_back(), Rank::kCheck, Later(), Name(i));
  for (int i = 3; i < 6; ++i) Start(calls_.emplace_back(), Rank::kEncrypt, Later(), Name(i));
  kms_.Release();
  ExpectEachItsOwn();
  EXPECT_THAT(Items(), Each(1));
}

// ---- The end.

TEST_F(SessionPoolTest, DestructorEndsWhatWaitsAndWhatRuns) {
  OneSession();
  Occupy(1);
  Answer<std::string> waiting;
  Start(waiting);
  pool_.reset();
  for (Answer<std::string>* answer : {&held_.front(), &waiting}) {
    EXPECT_THAT(answer->Get(), StatusIs(absl::StatusCode::kCancelled, "the plugin is stopping"));
  }
}

TEST_F(SessionPoolTest, DestructorEndsWhatIsBeingOpened) {
  kms_.HangDial();
  Answer<std::string> waiting;
  Start(waiting);
  pool_.reset();
  EXPECT_THAT(waiting.Get(), StatusIs(absl::StatusCode::kCancelled, "the plugin is stopping"));
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
  EXPECT_LE(kms_.dials(), kMost);
}

}  // namespace
}  // namespace okms::kmip
