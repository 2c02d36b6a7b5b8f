// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/key_health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "support/status_is.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::IsOk;
using test::StatusIs;
using ::testing::_;
using Code = absl::StatusCode;

constexpr Deadline kStart = Deadline(1000h);

const absl::Status kRefused = absl::UnavailableError("connect: Connection refused");
const absl::Status kLate = absl::DeadlineExceededError("no answer in time");
const absl::Status kDenied = absl::PermissionDeniedError("key k: denied");
const absl::Status kDeactivated = absl::FailedPreconditionError("key k is in state Deactivated");
const absl::Status kOther = absl::DataLossError("key k decrypts to something else");

// A key that was proven at kStart.
class KeyHealthTest : public ::testing::Test {
 protected:
  KeyHealthTest() { health_.Proven(kStart, kStart); }

  static Deadline At(Clock::duration time) { return kStart + time; }
  // Something that failed from `began` to `ended`.
  bool Fails(const absl::Status& status, Clock::duration began, Clock::duration ended) {
    return health_.Failed(status, At(began), At(ended));
  }
  absl::Status StatusAt(Clock::duration time) { return health_.At(At(time), std::nullopt); }
  absl::Status StatusAt(Clock::duration time, Clock::duration waiting_since) {
    return health_.At(At(time), At(waiting_since));
  }

  KeyHealth health_;
};

// ---- Silence

TEST(IsSilence, IsWhatSaysNothingAboutTheKey) {
  for (const Code code : {Code::kUnavailable, Code::kDeadlineExceeded, Code::kResourceExhausted,
                          Code::kInternal, Code::kUnknown, Code::kDataLoss}) {
    EXPECT_TRUE(IsSilence(absl::Status(code, ""))) << absl::StatusCodeToString(code);
  }
  for (const Code code :
       {Code::kOk, Code::kPermissionDenied, Code::kUnauthenticated, Code::kNotFound,
        Code::kFailedPrecondition, Code::kUnimplemented, Code::kInvalidArgument}) {
    EXPECT_FALSE(IsSilence(absl::Status(code, ""))) << absl::StatusCodeToString(code);
  }
}

TEST_F(KeyHealthTest, SilenceIsAnErrorAfterTenSecondsWithTheWordsOfTheLastFailure) {
  EXPECT_FALSE(Fails(kLate, 20s, 23s));
  EXPECT_FALSE(Fails(kRefused, 24s, 25s));
  EXPECT_THAT(StatusAt(29'999ms), IsOk());
  EXPECT_THAT(StatusAt(30s), StatusIs(Code::kUnavailable, "connect: Connection refused"));
}

TEST_F(KeyHealthTest, SilenceCountsFromTheStartOfWhatBeganFirst) {
  Fails(kRefused, 25s, 25s);
  Fails(kLate, 20s, 30s);  // it ends later, but began before
  EXPECT_THAT(StatusAt(29'999ms), IsOk());
  EXPECT_THAT(StatusAt(30s), StatusIs(Code::kDeadlineExceeded, "no answer in time"));
}

TEST_F(KeyHealthTest, SuccessOfAnyKindStartsSilenceAnew) {
  Fails(kRefused, 20s, 20s);
  health_.Answered(At(29s));
  EXPECT_THAT(StatusAt(40s), IsOk());
  EXPECT_FALSE(health_.TroubleAt(At(40s), std::nullopt));
  Fails(kRefused, 40s, 41s);
  EXPECT_THAT(StatusAt(49'999ms), IsOk());
  EXPECT_THAT(StatusAt(50s), StatusIs(Code::kUnavailable, "connect: Connection refused"));
}

TEST_F(KeyHealthTest, SuccessMendsSilenceAtOnce) {
  Fails(kRefused, 20s, 20s);
  ASSERT_FALSE(StatusAt(90s).ok());
  health_.Answered(At(90s));
  EXPECT_THAT(StatusAt(90s), IsOk());
  Fails(kRefused, 100s, 100s);
  ASSERT_FALSE(StatusAt(110s).ok());
  health_.Proven(At(105s), At(110s));
  EXPECT_THAT(StatusAt(110s), IsOk());
}

// Others were answered meanwhile: it says nothing of the time before its end.
TEST_F(KeyHealthTest, WhatBeganBeforeTheLastSuccessCountsFromItsEnd) {
  health_.Answered(At(28s));
  Fails(kLate, 27s, 57s);
  EXPECT_THAT(StatusAt(66'999ms), IsOk());
  EXPECT_THAT(StatusAt(67s), StatusIs(Code::kDeadlineExceeded, "no answer in time"));
  Fails(kLate, 29s, 59s);
  EXPECT_THAT(StatusAt(59s), StatusIs(Code::kDeadlineExceeded, "no answer in time"));
}

// No word has come back yet, but a minute of waiting is silence all the same.
TEST_F(KeyHealthTest, WhatIsStillWithoutAnAnswerCounts) {
  EXPECT_THAT(StatusAt(29'999ms, 20s), IsOk());
  EXPECT_THAT(StatusAt(30s, 20s), StatusIs(Code::kDeadlineExceeded, "the KMS does not answer"));
}

TEST_F(KeyHealthTest, WaitingAndFailuresAreOneSilenceWithTheWordsOfTheFailure) {
  Fails(kRefused, 24s, 25s);
  EXPECT_THAT(StatusAt(29'999ms, 20s), IsOk());
  EXPECT_THAT(StatusAt(30s, 20s), StatusIs(Code::kUnavailable, "connect: Connection refused"));
  // What began later does not bring the silence forward.
  EXPECT_THAT(StatusAt(33'999ms, 30s), IsOk());
  EXPECT_FALSE(StatusAt(34s, 30s).ok());
}

TEST_F(KeyHealthTest, AShortWaitIsNoTrouble) {
  EXPECT_FALSE(health_.TroubleAt(At(22'499ms), At(20s)));
  const auto trouble = health_.TroubleAt(At(22'500ms), At(20s));
  ASSERT_TRUE(trouble);
  EXPECT_EQ(trouble->since, At(20s));
}

TEST_F(KeyHealthTest, SilenceIsToldBeforeItCounts) {
  Fails(kRefused, 20s, 21s);
  const auto trouble = health_.TroubleAt(At(21s), std::nullopt);
  ASSERT_TRUE(trouble);
  EXPECT_THAT(trouble->status, StatusIs(Code::kUnavailable, "connect: Connection refused"));
  EXPECT_EQ(trouble->since, At(20s));
  EXPECT_THAT(StatusAt(21s), IsOk());
}

// Two threads read the clock one after the other.
TEST_F(KeyHealthTest, SilenceIsNeverOfTheFuture) {
  Fails(kRefused, 20s, 21s);
  EXPECT_EQ(health_.TroubleAt(At(19s), std::nullopt)->since, At(19s));
}

TEST_F(KeyHealthTest, CallsThatSucceedOutweighChecksThatNeverGetAnAnswer) {
  int calls = 0;
  for (Clock::duration time = 0s; calls < 1638; time += 1100ms) {
    if (time > 10s) Fails(kLate, time - 10s, time);
    EXPECT_THAT(StatusAt(time), IsOk()) << "after call " << calls;
    ++calls % 2 == 0 ? health_.Answered(At(time)) : health_.Proven(At(time - 100ms), At(time));
    EXPECT_THAT(StatusAt(time), IsOk()) << "after call " << calls;
  }
}

TEST(KeyHealth, WithoutAnySuccessSilenceCountsFromTheFirstFailure) {
  KeyHealth health;
  EXPECT_THAT(health.At(kStart, std::nullopt), IsOk());
  health.Failed(kRefused, kStart, kStart + 1s);
  EXPECT_THAT(health.At(kStart + 9'999ms, std::nullopt), IsOk());
  EXPECT_FALSE(health.At(kStart + 10s, std::nullopt).ok());
}

// ---- What the KMS says against the key

TEST_F(KeyHealthTest, ANoCountsAtOnce) {
  EXPECT_FALSE(Fails(kDenied, 20s, 21s));
  EXPECT_THAT(StatusAt(21s), StatusIs(Code::kPermissionDenied, "key k: denied"));
  const auto trouble = health_.TroubleAt(At(60s), std::nullopt);
  ASSERT_TRUE(trouble);
  EXPECT_EQ(trouble->since, At(21s));
}

TEST_F(KeyHealthTest, TheLastNoIsWhatIsToldSinceTheFirst) {
  Fails(kDenied, 20s, 21s);
  Fails(kDeactivated, 30s, 31s);
  EXPECT_THAT(StatusAt(31s), StatusIs(Code::kFailedPrecondition, "key k is in state Deactivated"));
  EXPECT_EQ(health_.TroubleAt(At(31s), std::nullopt)->since, At(21s));
}

TEST_F(KeyHealthTest, ANoIsToldRatherThanSilence) {
  Fails(kRefused, 20s, 20s);
  Fails(kDenied, 21s, 21s);
  Fails(kRefused, 22s, 22s);
  EXPECT_THAT(StatusAt(60s), StatusIs(Code::kPermissionDenied, "key k: denied"));
  EXPECT_THAT(health_.TroubleAt(At(60s), At(21s))->status, StatusIs(Code::kPermissionDenied, _));
}

// A key that is deactivated still decrypts.
TEST_F(KeyHealthTest, AnAnswerAboutSomethingElseDoesNotMendANo) {
  Fails(kDeactivated, 20s, 21s);
  health_.Answered(At(22s));
  EXPECT_FALSE(StatusAt(22s).ok());
}

TEST_F(KeyHealthTest, OnlyAProofThatBeganAfterwardsMendsANo) {
  Fails(kDeactivated, 20s, 21s);
  health_.Proven(At(20'999ms), At(22s));
  EXPECT_THAT(StatusAt(22s), StatusIs(Code::kFailedPrecondition, "key k is in state Deactivated"));
  health_.Proven(At(22s), At(23s));
  EXPECT_THAT(StatusAt(23s), IsOk());
  EXPECT_FALSE(health_.TroubleAt(At(23s), std::nullopt));
}

TEST_F(KeyHealthTest, AProofMustHaveBegunAfterTheLastNo) {
  Fails(kDeactivated, 20s, 21s);
  Fails(kDeactivated, 24s, 25s);
  health_.Proven(At(23s), At(26s));
  EXPECT_FALSE(StatusAt(26s).ok());
  health_.Proven(At(25s), At(27s));
  EXPECT_THAT(StatusAt(27s), IsOk());
}

TEST_F(KeyHealthTest, ANoThatBeganBeforeTheLastProofIsASuspicion) {
  health_.Proven(At(20s), At(22s));
  EXPECT_TRUE(Fails(kDenied, 21'999ms, 23s));
  EXPECT_THAT(StatusAt(23s), IsOk());
  EXPECT_FALSE(Fails(kDenied, 22s, 24s));
  EXPECT_FALSE(StatusAt(24s).ok());
}

// A decryption says nothing of whether the key still encrypts.
TEST_F(KeyHealthTest, ANoThatBeganBeforeAnotherSuccessCounts) {
  health_.Answered(At(22s));
  EXPECT_FALSE(Fails(kDenied, 21s, 23s));
  EXPECT_FALSE(StatusAt(23s).ok());
}

// ---- Misfit

TEST_F(KeyHealthTest, AMisfitCountsAtOnceAndStopsEncrypt) {
  EXPECT_THAT(health_.misfit(), IsOk());
  health_.Misfit(kOther, At(20s));
  EXPECT_THAT(StatusAt(20s), StatusIs(Code::kDataLoss, "key k decrypts to something else"));
  EXPECT_THAT(health_.misfit(), StatusIs(Code::kDataLoss, "key k decrypts to something else"));
  EXPECT_EQ(health_.TroubleAt(At(60s), std::nullopt)->since, At(20s));
}

TEST_F(KeyHealthTest, AMisfitStaysThroughAllButAProofThatBeganAfterwards) {
  health_.Misfit(kOther, At(20s));
  health_.Answered(At(21s));
  EXPECT_THAT(StatusAt(21s), StatusIs(Code::kDataLoss, _));
  health_.Proven(At(19'999ms), At(22s));
  EXPECT_THAT(StatusAt(22s), StatusIs(Code::kDataLoss, _));
  Fails(kDenied, 22s, 23s);
  EXPECT_THAT(StatusAt(23s), StatusIs(Code::kDataLoss, "key k decrypts to something else"));
  Fails(kRefused, 23s, 24s);
  EXPECT_THAT(StatusAt(60s), StatusIs(Code::kDataLoss, _));
  EXPECT_FALSE(health_.misfit().ok());
  health_.Proven(At(61s), At(62s));
  EXPECT_THAT(StatusAt(62s), IsOk());
  EXPECT_THAT(health_.misfit(), IsOk());
}

TEST_F(KeyHealthTest, AMisfitIsToldRatherThanTheNoBefore) {
  Fails(kDenied, 20s, 21s);
  health_.Misfit(kOther, At(25s));
  EXPECT_THAT(StatusAt(25s), StatusIs(Code::kDataLoss, "key k decrypts to something else"));
  EXPECT_EQ(health_.TroubleAt(At(25s), std::nullopt)->since, At(21s)) << "it was not well between";
  health_.Proven(At(24s), At(26s));
  EXPECT_FALSE(health_.misfit().ok());
}

TEST_F(KeyHealthTest, AMisfitThatBeganLongAgoIsNoLessOne) {
  health_.Misfit(kOther, At(20s));
  Fails(kDenied, 30s, 30s);
  health_.Proven(At(25s), At(31s));  // before what was said last
  EXPECT_FALSE(health_.misfit().ok());
}

}  // namespace
}  // namespace okms
