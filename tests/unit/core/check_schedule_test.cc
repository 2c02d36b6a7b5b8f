// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/check_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace okms {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::SizeIs;
using Outcome = CheckSchedule::Outcome;
using Ticket = CheckSchedule::Ticket;
using About = CheckSchedule::About;
using Why = CheckSchedule::Why;

constexpr Deadline kStart = Deadline(1000h);

class CheckScheduleTest : public ::testing::Test {
 protected:
  explicit CheckScheduleTest(milliseconds timeout = 10s) : timeout_(timeout), schedule_(timeout) {}

  // The next check, when it is due.
  Ticket Begin() {
    now_ = std::max(now_, schedule_.Next());
    return schedule_.Begin(now_).value();
  }
  void End(Ticket check, Outcome outcome, uint8_t jitter = 0) {
    schedule_.End(check, outcome, now_, jitter);
  }
  // From now until the next check may begin.
  milliseconds UntilNext() const {
    return std::chrono::duration_cast<milliseconds>(schedule_.Next() - now_);
  }
  // Far from all that was.
  void Settle() {
    now_ += 1h;
    End(Begin(), Outcome::kGood);
  }
  // When checks begin in that time if each one hangs until it times out.
  std::vector<milliseconds> BeginningsWhileAllHang(Clock::duration time) {
    const Deadline start = now_;
    std::vector<milliseconds> beginnings;
    std::vector<Ticket> running;
    while (now_ < start + time) {
      if (const auto check = schedule_.Begin(now_)) {
        running.push_back(*check);
        beginnings.push_back(std::chrono::duration_cast<milliseconds>(now_ - start));
      }
      EXPECT_LE(running.size(), 4u);
      if (!running.empty() && running.front()->answer_by <= now_) {
        End(running.front(), Outcome::kBad);
        running.erase(running.begin());
      }
      now_ = std::max(now_ + 1ms, std::min(schedule_.Next(), schedule_.AnswerBy()));
    }
    return beginnings;
  }

  const milliseconds timeout_;
  CheckSchedule schedule_;
  Deadline now_ = kStart;
};

// ---- One after the other

TEST_F(CheckScheduleTest, TheFirstCheckBeginsAtOnce) {
  EXPECT_LE(schedule_.Next(), now_);
  const auto check = schedule_.Begin(now_);
  ASSERT_TRUE(check);
  EXPECT_EQ((*check)->began, now_);
  EXPECT_FALSE((*check)->must_prove);
}

TEST_F(CheckScheduleTest, AfterSuccessTenSeconds) {
  for (const uint8_t jitter : {uint8_t{0}, uint8_t{255}}) {
    const Ticket check = Begin();
    now_ += 300ms;
    End(check, Outcome::kGood, jitter);
    EXPECT_EQ(UntilNext(), 10s);
    EXPECT_FALSE(schedule_.Begin(now_ + 9'999ms));
    EXPECT_TRUE(schedule_.Begin(now_ + 10s));
    Settle();
  }
}

TEST_F(CheckScheduleTest, ASecondLookComesAfterFiveSeconds) {
  for (const uint8_t jitter : {uint8_t{0}, uint8_t{255}}) {
    End(Begin(), Outcome::kUndecided, jitter);
    EXPECT_EQ(UntilNext(), 5s);
  }
}

TEST_F(CheckScheduleTest, AfterFailuresSoonThenLessOften) {
  const auto intervals = [this](uint8_t jitter) {
    std::vector<int64_t> seen;
    for (int i = 0; i < 5; ++i) {
      const Ticket check = Begin();
      now_ += 1s;
      End(check, Outcome::kBad, jitter);
      seen.push_back(UntilNext().count());
    }
    return seen;
  };
  EXPECT_THAT(intervals(0), ElementsAre(500, 1000, 2000, 2000, 2000));
  Settle();
  EXPECT_THAT(intervals(255), ElementsAre(376, 751, 1502, 1502, 1502));
  End(Begin(), Outcome::kUndecided);  // that is no failure either
  EXPECT_THAT(intervals(0), ElementsAre(500, 1000, 2000, 2000, 2000));
}

TEST_F(CheckScheduleTest, TheIntervalStaysAfterThousandsOfFailures) {
  for (int i = 0; i < 10'000; ++i) End(Begin(), Outcome::kBad);
  EXPECT_EQ(UntilNext(), 2s);
}

// However fast the KMS says no.
TEST_F(CheckScheduleTest, ChecksBeginHalfASecondApart) {
  End(Begin(), Outcome::kBad, 255);
  EXPECT_EQ(UntilNext(), 500ms);
}

// ---- Beside each other

TEST_F(CheckScheduleTest, BesideACheckThatHangsAnotherOneBegins) {
  Settle();
  const Ticket hung = Begin();
  now_ += 100ms;
  EXPECT_EQ(schedule_.Ask(hung, About::kKey, now_), now_ + timeout_);
  EXPECT_EQ(UntilNext(), 2'500ms);
  EXPECT_FALSE(schedule_.Begin(now_ + 2'499ms));
  const Ticket other = Begin();
  EXPECT_EQ(other->began - hung->began, 2'600ms);
  // That one is well, so all is, whatever becomes of the first.
  End(other, Outcome::kGood);
  EXPECT_EQ(UntilNext(), 10s);
}

TEST_F(CheckScheduleTest, NoMoreThanFourAtOnce) {
  std::vector<Ticket> hung;
  for (int i = 0; i < 4; ++i) hung.push_back(Begin());
  EXPECT_EQ(now_ - kStart, 7'500ms);
  EXPECT_EQ(schedule_.Next(), Deadline::max());
  schedule_.Suspect(Why::kAnswer);
  EXPECT_EQ(schedule_.Next(), Deadline::max());
  EXPECT_FALSE(schedule_.Begin(now_ + 1h));
  now_ += 5s;
  End(hung.back(), Outcome::kBad);
  EXPECT_TRUE(schedule_.Begin(now_));
}

TEST_F(CheckScheduleTest, WhileAllHangFreshOnesBegin) {
  const auto beginnings = BeginningsWhileAllHang(5min);
  ASSERT_GT(beginnings.size(), 4u);
  EXPECT_THAT(std::vector(beginnings.begin(), beginnings.begin() + 4),
              ElementsAre(0ms, 2'500ms, 5s, 7'500ms));
  for (std::size_t i = 1; i < beginnings.size(); ++i) {
    EXPECT_LE(beginnings[i] - beginnings[i - 1], 5s) << "after " << beginnings[i - 1].count();
  }
}

// A slow success is a success: with each answer the wait begins anew.
TEST_F(CheckScheduleTest, ACheckThatGetsAnswersStaysAlone) {
  Settle();
  const Ticket slow = Begin();
  for (int operation = 0; operation < 10; ++operation) {
    EXPECT_EQ(schedule_.Ask(slow, About::kKey, now_), now_ + timeout_);
    now_ += 2'400ms;
    EXPECT_FALSE(schedule_.Begin(now_)) << operation;
  }
  now_ += 100ms;
  EXPECT_TRUE(schedule_.Begin(now_));
}

TEST_F(CheckScheduleTest, TheEndOfAnOlderCheckPutsNothingOff) {
  Settle();
  const Ticket older = Begin();
  End(Begin(), Outcome::kBad);
  const auto before = schedule_.Next();
  now_ += 100ms;
  End(older, Outcome::kGood);
  EXPECT_EQ(schedule_.Next(), before);
  End(Begin(), Outcome::kBad);
  EXPECT_EQ(UntilNext(), 1s) << "nor does it end the row of failures";
}

TEST_F(CheckScheduleTest, WhatFailedInAnOlderCheckIsLookedAtAgain) {
  Settle();
  const Ticket older = Begin();
  End(Begin(), Outcome::kGood);
  now_ += 1s;
  End(older, Outcome::kBad);
  EXPECT_EQ(UntilNext(), 500ms);
}

// A list in pages, for one: looks at the key go on beside it.
TEST_F(CheckScheduleTest, WhatIsAskedAboutTheNamePutsNothingOff) {
  Settle();
  const Ticket check = Begin();
  EXPECT_FALSE(schedule_.IsAt(About::kName));
  for (int page = 0; page < 10; ++page, now_ += 200ms) {
    schedule_.Ask(check, About::kName, now_);
    EXPECT_TRUE(schedule_.IsAt(About::kName));
  }
  EXPECT_EQ(UntilNext(), 500ms);
  now_ += 400ms;
  schedule_.Suspect(Why::kSilence);
  EXPECT_LE(UntilNext(), 0ms) << "it does not tell of the key either";
  End(check, Outcome::kGood);
  EXPECT_FALSE(schedule_.IsAt(About::kName));
}

// What one of them asks does not bring forward what another one's end put off.
TEST_F(CheckScheduleTest, AnAnswerElsewhereBringsNoCheckForward) {
  const Ticket hung = Begin();
  End(Begin(), Outcome::kGood);
  schedule_.Ask(hung, About::kKey, now_);
  EXPECT_EQ(UntilNext(), 10s);
}

class LongTimeoutTest : public CheckScheduleTest {
 protected:
  LongTimeoutTest() : CheckScheduleTest(60s) {}
};

TEST_F(LongTimeoutTest, PatienceGrowsWithTheTimeout) {
  EXPECT_THAT(BeginningsWhileAllHang(59s), ElementsAre(0ms, 15s, 30s, 45s));
}

class ShortTimeoutTest : public CheckScheduleTest {
 protected:
  ShortTimeoutTest() : CheckScheduleTest(1s) {}
};

TEST_F(ShortTimeoutTest, PatienceDoesNotShrinkWithTheTimeout) {
  Begin();
  EXPECT_EQ(UntilNext(), 2'500ms);
}

// ---- Suspicion

TEST_F(CheckScheduleTest, ASuspicionBringsAProofAtOnce) {
  Settle();
  now_ += 3s;
  schedule_.Suspect(Why::kAnswer);
  EXPECT_LE(schedule_.Next(), now_);
  const auto check = schedule_.Begin(now_);
  ASSERT_TRUE(check);
  EXPECT_TRUE((*check)->must_prove);
  End(*check, Outcome::kGood);
  EXPECT_EQ(UntilNext(), 10s);
  EXPECT_FALSE(Begin()->must_prove);
}

TEST_F(CheckScheduleTest, ASuspicionWaitsHalfASecondAfterTheLastBeginning) {
  Settle();
  schedule_.Suspect(Why::kAnswer);
  EXPECT_EQ(UntilNext(), 500ms);
  EXPECT_FALSE(schedule_.Begin(now_ + 499ms));
  EXPECT_TRUE(schedule_.Begin(now_ + 500ms));
}

TEST_F(CheckScheduleTest, ASuspicionDuringACheckLeadsToAnother) {
  Settle();
  const Ticket check = Begin();
  now_ += 100ms;
  schedule_.Suspect(Why::kAnswer);
  EXPECT_EQ(UntilNext(), 400ms) << "beside it";
  now_ += 200ms;
  End(check, Outcome::kGood);
  EXPECT_EQ(UntilNext(), 200ms) << "its success does not count";
  EXPECT_TRUE(Begin()->must_prove);
}

TEST_F(CheckScheduleTest, AStormOfSuspicionsIsTwoChecksASecond) {
  Settle();
  now_ += 5s;
  std::vector<Deadline> beginnings;
  for (int i = 0; i < 10'000; ++i, now_ += 1ms) {  // 10 seconds
    schedule_.Suspect(Why::kAnswer);
    if (const auto check = schedule_.Begin(now_)) {
      beginnings.push_back(now_);
      End(*check, i % 2 == 0 ? Outcome::kGood : Outcome::kBad);
    }
  }
  EXPECT_THAT(beginnings, SizeIs(20));
}

TEST_F(CheckScheduleTest, ThousandsOfSuspicionsAtOnceAreOne) {
  Settle();
  for (int i = 0; i < 10'000; ++i) schedule_.Suspect(Why::kAnswer);
  End(Begin(), Outcome::kGood);
  EXPECT_EQ(UntilNext(), 10s);
}

TEST_F(CheckScheduleTest, AProofStaysOwedWhileItsCheckFails) {
  Settle();
  schedule_.Suspect(Why::kAnswer);
  for (int i = 0; i < 3; ++i) {
    const Ticket check = Begin();
    EXPECT_TRUE(check->must_prove) << i;
    End(check, Outcome::kBad);
    EXPECT_EQ(UntilNext(), std::min<milliseconds>(500ms * (1 << i), 2s)) << "no sooner than others";
  }
  const Ticket check = Begin();
  EXPECT_TRUE(check->must_prove);
  End(check, Outcome::kGood);
  EXPECT_FALSE(Begin()->must_prove);
}

TEST_F(CheckScheduleTest, AProofStaysOwedWhateverACheckBesideItSaw) {
  for (const Outcome outcome : {Outcome::kGood, Outcome::kUndecided, Outcome::kBad}) {
    Settle();
    const Ticket before = Begin();
    schedule_.Suspect(Why::kAnswer);
    End(Begin(), Outcome::kBad);
    End(before, outcome);
    const Ticket next = Begin();
    EXPECT_TRUE(next->must_prove);
    End(next, Outcome::kGood);
  }
}

TEST_F(CheckScheduleTest, AProofIsNotOwedByACheckThatWasToGiveNone) {
  End(Begin(), Outcome::kBad);
  EXPECT_FALSE(Begin()->must_prove);
}

// What a call without an answer hangs on, another check would hang on too.
TEST_F(CheckScheduleTest, ASuspicionOfSilenceWaitsForTheCheckUnderWay) {
  Settle();
  const Ticket check = Begin();
  schedule_.Ask(check, About::kKey, now_);
  for (int i = 0; i < 1000; ++i) schedule_.Suspect(Why::kSilence);
  EXPECT_EQ(UntilNext(), 2'500ms) << "as without it";
  now_ += 1s;
  End(check, Outcome::kGood);
  EXPECT_LE(UntilNext(), 0ms) << "it is not lost";
  EXPECT_TRUE(Begin()->must_prove);
}

TEST_F(CheckScheduleTest, ASuspicionOfSilenceAloneBringsAProofAtOnce) {
  Settle();
  now_ += 3s;
  schedule_.Suspect(Why::kSilence);
  EXPECT_LE(UntilNext(), 0ms);
  EXPECT_TRUE(Begin()->must_prove);
}

TEST_F(CheckScheduleTest, AnAnswerThatMakesSuspectWaitsForNoCheck) {
  for (const auto& [first, second] :
       {std::pair(Why::kSilence, Why::kAnswer), std::pair(Why::kAnswer, Why::kSilence)}) {
    Settle();
    const Ticket check = Begin();
    schedule_.Suspect(first);
    schedule_.Suspect(second);
    EXPECT_EQ(UntilNext(), 500ms);
    const Ticket beside = Begin();
    schedule_.Suspect(Why::kSilence);
    EXPECT_GT(UntilNext(), 500ms) << "the next one is no answer again";
    End(check, Outcome::kGood);
    End(beside, Outcome::kGood);
  }
}

// ---- What is waited for

TEST_F(CheckScheduleTest, NothingIsWaitedForWhenNothingRuns) {
  EXPECT_FALSE(schedule_.WaitingSince(Deadline(), false));
  EXPECT_EQ(schedule_.AnswerBy(), Deadline::max());
  Settle();
  EXPECT_FALSE(schedule_.WaitingSince(Deadline(), false));
  EXPECT_EQ(schedule_.AnswerBy(), Deadline::max());
}

TEST_F(CheckScheduleTest, TheOldestOperationIsWaitedFor) {
  const Ticket first = Begin();
  const Ticket second = Begin();
  EXPECT_EQ(schedule_.WaitingSince(Deadline(), false), first->began);
  EXPECT_EQ(schedule_.AnswerBy(), first->began + timeout_);
  now_ += 1s;
  schedule_.Ask(first, About::kKey, now_);
  EXPECT_EQ(schedule_.WaitingSince(Deadline(), false), second->began);
  EXPECT_EQ(schedule_.AnswerBy(), second->began + timeout_);
  End(second, Outcome::kGood);
  EXPECT_EQ(schedule_.WaitingSince(Deadline(), false), now_);
  EXPECT_EQ(schedule_.AnswerBy(), now_ + timeout_);
  End(first, Outcome::kGood);
  EXPECT_FALSE(schedule_.WaitingSince(Deadline(), false));
}

TEST_F(CheckScheduleTest, WhatBeganBeforeThatIsNotWaitedFor) {
  const Ticket first = Begin();
  const Ticket second = Begin();
  EXPECT_EQ(schedule_.WaitingSince(first->asked, false), first->asked);
  EXPECT_EQ(schedule_.WaitingSince(first->asked + 1ms, false), second->asked);
  EXPECT_FALSE(schedule_.WaitingSince(second->asked + 1ms, false));
}

TEST_F(CheckScheduleTest, WhatIsAskedAboutTheNameIsAMatterOfItsOwn) {
  const Ticket check = Begin();
  schedule_.Ask(check, About::kName, now_);
  EXPECT_FALSE(schedule_.WaitingSince(Deadline(), false));
  EXPECT_EQ(schedule_.WaitingSince(Deadline(), true), now_);
  EXPECT_EQ(schedule_.AnswerBy(), now_ + timeout_) << "the watchdog's matter all the same";
  schedule_.Ask(check, About::kKey, now_);
  EXPECT_EQ(schedule_.WaitingSince(Deadline(), false), now_);
}

}  // namespace
}  // namespace okms
