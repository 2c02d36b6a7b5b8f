// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/health.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

namespace okms {
namespace {

using namespace std::chrono_literals;

constexpr char kKey[] = "70001308-5674-43fe-93dd-6270ecac0710";
constexpr Deadline kNow = Deadline(1000h);

Health Well(const std::string& key_id) { return {key_id, absl::OkStatus(), {}, {}, false}; }
// What is in trouble for 42.9 seconds; `key_id` is the adopted key.
Health InTrouble(const std::string& key_id, absl::Status status) {
  return {key_id, status, Trouble{status, kNow - 42'900ms}, {}, false};
}
std::string After42s(const std::string& key_id, absl::Status status) {
  return StatusLine(InTrouble(key_id, std::move(status)), kNow, "");
}
// Key k is well, but its name is not.
std::string WithNote(Adoption::Note note) {
  Health health = Well("k");
  health.note = std::move(note);
  return StatusLine(health, kNow, "");
}

// ---- The key

TEST(StatusLineTest, NamesTheKeyThatWorks) {
  EXPECT_EQ(StatusLine(Well(kKey), kNow, ""), "serving; key 70001308-5674-43fe-93dd-6270ecac0710");
}

TEST(StatusLineTest, SaysForHowLongTheKmsIsUnreachable) {
  EXPECT_EQ(After42s(kKey, absl::UnavailableError("connect: Connection refused")),
            "serving; KMS unreachable for 42 s (connect: Connection refused); key "
            "70001308-5674-43fe-93dd-6270ecac0710");
  EXPECT_EQ(After42s(kKey, absl::DeadlineExceededError("no answer in time")),
            "serving; KMS unreachable for 42 s (no answer in time); key "
            "70001308-5674-43fe-93dd-6270ecac0710");
}

// Who looks at it at once need not wait for the 10 seconds after which Status is an error.
TEST(StatusLineTest, TellsOfTroubleBeforeItCounts) {
  Health health = Well("k");
  health.trouble = Trouble{absl::UnavailableError("away"), kNow - 3s};
  EXPECT_EQ(StatusLine(health, kNow, ""), "serving; KMS unreachable for 3 s (away); key k");
}

TEST(StatusLineTest, SaysThatThereIsNoKeyYet) {
  EXPECT_EQ(After42s("", absl::UnavailableError("connect: Connection refused")),
            "serving; no key yet: KMS unreachable for 42 s (connect: Connection refused)");
}

TEST(StatusLineTest, AnAnswerIsNoSilence) {
  const absl::Status status = absl::FailedPreconditionError("key k is in state Deactivated");
  EXPECT_EQ(After42s("k", status),
            "serving; check fails for 42 s (key k is in state Deactivated); key k");
  EXPECT_EQ(After42s("", status),
            "serving; no key that works for 42 s (key k is in state Deactivated)");
}

TEST(StatusLineTest, BeforeTheFirstCheckHasEndedNothingIsKnown) {
  EXPECT_EQ(StatusLine({"", absl::UnavailableError("no key has been verified yet"), {}, {}, false},
                       kNow, ""),
            "serving; no key yet");
}

// ---- Its name

TEST(StatusLineTest, SaysThatTheNameIsUnproven) {
  Health health = InTrouble("k", absl::UnavailableError("away"));
  health.name_unproven = true;
  EXPECT_EQ(StatusLine(health, kNow, ""),
            "serving; KMS unreachable for 42 s (away); key k (the KMS hides its name)");
  health.trouble.reset();
  EXPECT_EQ(StatusLine(health, kNow, ""), "serving; key k (the KMS hides its name)");
}

TEST(StatusLineTest, SaysWhatIsWrongWithACandidate) {
  EXPECT_EQ(WithNote({absl::FailedPreconditionError("key b is in state Deactivated"),
                      "key b is in state Deactivated",
                      kNow - 2min,
                      {}}),
            "serving; key k; trouble with the key's name for 120 s (key b is in state "
            "Deactivated)");
}

TEST(StatusLineTest, SaysWhenALabelAstrayIsAnError) {
  Adoption::Note note{absl::NotFoundError("no key"), "no key", kNow - 2min, kNow + 13min};
  EXPECT_EQ(WithNote(note),
            "serving; key k; trouble with the key's name for 120 s (no key), an error in 780 s");
  note.error_from = kNow + 1ms;
  EXPECT_EQ(WithNote(note),
            "serving; key k; trouble with the key's name for 120 s (no key), an error in 0 s");
  note.error_from = kNow;
  EXPECT_EQ(WithNote(note),
            "serving; key k; trouble with the key's name for 120 s (no key), an error by now");
}

TEST(StatusLineTest, SaysThatAnotherKeyIsToBeAdopted) {
  EXPECT_EQ(WithNote({absl::OkStatus(), "key b works and is to be adopted", kNow - 5s, {}}),
            "serving; key k; new key for 5 s (key b works and is to be adopted)");
}

TEST(StatusLineTest, TroubleAndNameAreBothSaid) {
  Health health = InTrouble("k", absl::UnavailableError("away"));
  health.note = {absl::NotFoundError("no key"), "no key", kNow - 5s, {}};
  EXPECT_EQ(StatusLine(health, kNow, "; Landlock ABI 7"),
            "serving; KMS unreachable for 42 s (away); key k; trouble with the key's name for 5 s "
            "(no key); Landlock ABI 7");
}

// Then it is the reason why there is none.
TEST(StatusLineTest, WithoutAKeyTheNameIsSaidOnce) {
  Health health = InTrouble("", absl::NotFoundError("no key has the label"));
  health.note = {absl::NotFoundError("no key has the label"), "no key has the label", kNow, {}};
  EXPECT_EQ(StatusLine(health, kNow, ""),
            "serving; no key that works for 42 s (no key has the label)");
}

// ---- The line

TEST(StatusLineTest, WhatTheCallerAddsIsLast) {
  EXPECT_EQ(StatusLine(Well("k"), kNow, "; Landlock ABI 7"), "serving; key k; Landlock ABI 7");
  EXPECT_EQ(StatusLine(InTrouble("k", absl::UnavailableError("away")), kNow, "; Landlock ABI 7"),
            "serving; KMS unreachable for 42 s (away); key k; Landlock ABI 7");
}

// sd_notify(3) takes a new line for a new assignment, which a peer's text must not make.
TEST(StatusLineTest, IsOneLine) {
  EXPECT_EQ(After42s("k\nREADY=1", absl::UnavailableError("away\nWATCHDOG=1")),
            "serving; KMS unreachable for 42 s (away?WATCHDOG=1); key k?READY=1");
  EXPECT_EQ(WithNote({absl::NotFoundError("no\nkey"), "no\nkey", kNow, {}}),
            "serving; key k; trouble with the key's name for 0 s (no?key)");
}

TEST(StatusLineTest, LongTextIsCut) {
  const std::string reason(5000, 'r');
  Health health = InTrouble(std::string(5000, 'k'), absl::UnavailableError(reason));
  health.note = {absl::NotFoundError(reason), reason, kNow, {}};
  EXPECT_LT(StatusLine(health, kNow, "").size(), 1200u);
}

TEST(StatusLineTest, ATimeAheadOfNowIsNone) {
  EXPECT_EQ(
      StatusLine(
          {"k", absl::OkStatus(), Trouble{absl::UnavailableError("away"), kNow + 5s}, {}, false},
          kNow, ""),
      "serving; KMS unreachable for 0 s (away); key k");
}

}  // namespace
}  // namespace okms
