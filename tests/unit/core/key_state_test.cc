// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What keeps a key that works from taking the place of the one in use. All else of KeyState is
// tested through KeyManager.

#include "core/key_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "support/status_is.h"
#include "unit/core/fake_backend.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::IsOk;
using ::testing::HasSubstr;

constexpr Deadline kStart = Deadline(1000h);

KeyInfo Shown() { return test::ActiveKey({{"kek"}}); }
KeyInfo Hidden() { return test::ActiveKey(); }
KeyReport Works(Clock::duration took = 1ms, const KeyInfo& info = Shown()) {
  return {absl::OkStatus(), true, took, info};
}

class KeyStateTest : public ::testing::Test {
 protected:
  // One check that finds the key in use well, and that its label leads to that key.
  void LeadsTo(const std::string& id, const KeyInfo& info = Shown(), Clock::duration took = 1ms,
               const KeyReport& in_use = Works()) {
    now_ = std::max(now_, state_.schedule().Next());
    const auto check = state_.schedule().Begin(now_).value();
    auto outcome = KeyState::Outcome::kGood;
    const std::string adopted = state_.adopted();
    if (!adopted.empty()) outcome = state_.SawKey(*check, adopted, in_use, now_);
    outcome = id == adopted ? state_.SawName(*check, {LabelledKey{id, info}}, outcome, now_)
                            : state_.SawCandidate(*check, id, Works(took, info), outcome, now_);
    state_.schedule().End(check, outcome, now_, 0);
  }
  void LeadsOftenTo(const std::string& id, const KeyInfo& info = Shown(),
                    Clock::duration took = 1ms, const KeyReport& in_use = Works()) {
    for (int i = 0; i < 100; ++i) LeadsTo(id, info, took, in_use);
  }
  std::string Note() const {
    const auto note = state_.HealthAt(now_).note;
    return note && !note->wrong.ok() ? note->text : "";
  }

  Deadline now_ = kStart;
  KeyState state_{KeyLabel{"kek"}, 10s, 15min};
};

// kube-apiserver gives an Encrypt 3 seconds; with the key that stays it needs none.
TEST_F(KeyStateTest, AKeyTooSlowForACallTakesNoPlace) {
  LeadsTo("a");
  LeadsOftenTo("b", Shown(), 2'600ms);
  EXPECT_EQ(state_.adopted(), "a");
  EXPECT_THAT(state_.Answer(now_), IsOk());
  EXPECT_THAT(Note(), HasSubstr("key b works, but slower than kube-apiserver waits"));
  LeadsTo("b", Shown(), 2'500ms);
  LeadsTo("b", Shown(), 2'500ms);
  EXPECT_EQ(state_.adopted(), "b");
}

TEST_F(KeyStateTest, TheFirstKeyMayBeSlow) {
  LeadsTo("a", Shown(), 9s);
  EXPECT_EQ(state_.adopted(), "a");
}

TEST_F(KeyStateTest, WhileTheOneInUseIsRefusedASlowOneMayTakeItsPlace) {
  LeadsTo("a");
  LeadsOftenTo("b", Shown(), 9s, {absl::PermissionDeniedError("not yours"), false, {}, Shown()});
  EXPECT_EQ(state_.adopted(), "b");
}

// A relay that ignores the name gives any key; where names are shown, that one is not ours.
TEST_F(KeyStateTest, AKeyThatHidesItsNameTakesNoPlaceOfOneThatShowedIt) {
  LeadsTo("a");
  LeadsTo("a");
  LeadsOftenTo("b", Hidden());
  EXPECT_EQ(state_.adopted(), "a");
  EXPECT_THAT(state_.Answer(now_), IsOk());
  EXPECT_THAT(Note(), HasSubstr("key b hides its label, though the KMS has shown that of key a"));
}

TEST_F(KeyStateTest, WhereNamesAreHiddenTheKmsIsBelieved) {
  LeadsTo("a", Hidden());
  LeadsOftenTo("b", Hidden(), 1ms, {absl::OkStatus(), true, 1ms, Hidden()});
  EXPECT_EQ(state_.adopted(), "b");
  EXPECT_TRUE(state_.HealthAt(now_).name_unproven);
}

TEST_F(KeyStateTest, WhileTheOneInUseIsRefusedOneThatHidesItsNameMayTakeItsPlace) {
  LeadsTo("a");
  LeadsOftenTo("b", Hidden(), 1ms, {absl::PermissionDeniedError("not yours"), false, {}, Shown()});
  EXPECT_EQ(state_.adopted(), "b");
}

// The right to see attributes was withdrawn, of all.
TEST_F(KeyStateTest, WhereNamesAreNoLongerShownTheKmsIsBelieved) {
  LeadsTo("a");
  LeadsOftenTo("b", Hidden(), 1ms, {absl::OkStatus(), true, 1ms, Hidden()});
  EXPECT_EQ(state_.adopted(), "b");
}

TEST_F(KeyStateTest, ACandidateThatNeverAnswersIsSaidAndEndsTheGrace) {
  LeadsTo("a");
  const auto check = state_.schedule().Begin(now_ += 10s).value();
  state_.SawName(*check, {absl::NotFoundError("no key has the label")}, KeyState::Outcome::kGood,
                 now_);
  state_.schedule().End(check, KeyState::Outcome::kGood, now_, 0);
  for (int i = 0; i < 200; ++i) {
    const auto next = state_.schedule().Begin(now_ += 10s).value();
    const KeyReport silent{absl::DeadlineExceededError("no answer in time"), false, {}, {}};
    state_.SawCandidate(*next, "b", silent, KeyState::Outcome::kGood, now_);
    state_.schedule().End(next, KeyState::Outcome::kGood, now_, 0);
    ASSERT_THAT(state_.Answer(now_), IsOk()) << i;
    EXPECT_EQ(Note(), "key b: no answer in time");
  }
}

// Of two checks side by side, the one that proved the key tells more.
TEST_F(KeyStateTest, AHungRoundTripCountsFromItsEndWhenAnotherOneProvedTheKey) {
  LeadsTo("a");
  const auto hung = state_.schedule().Begin(now_ += 10s).value();
  LeadsTo("a");
  now_ = hung->answer_by;
  const KeyReport silent{absl::DeadlineExceededError("late"), false, {}, Shown()};
  state_.schedule().End(hung, state_.SawKey(*hung, "a", silent, now_), now_, 0);
  EXPECT_THAT(state_.Answer(now_ + 9999ms), IsOk());
  EXPECT_LE(state_.schedule().Next(), now_ + 500ms) << "it is looked at again";
}

TEST_F(KeyStateTest, AKeyThatShowsItsNameTakesThePlaceOfOneThatHidIt) {
  LeadsTo("a", Hidden());
  LeadsOftenTo("b", Shown());
  EXPECT_EQ(state_.adopted(), "b");
  LeadsOftenTo("c", Hidden());
  EXPECT_EQ(state_.adopted(), "b");
}

}  // namespace
}  // namespace okms
