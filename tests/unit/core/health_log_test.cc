// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/health_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr Deadline kStart = Deadline(1000h);

const absl::Status kRefused = absl::UnavailableError("connect: Connection refused");
const absl::Status kNone = absl::NotFoundError("no key has the label \"kek\"");

class HealthLogTest : public ::testing::Test {
 protected:
  using Lines = std::vector<std::pair<Severity, std::string>>;

  Lines Say() {
    Lines lines;
    for (Event& event : log_.Changes(health_, now_)) {
      lines.emplace_back(event.severity, std::move(event.text));
    }
    return lines;
  }
  // As all is well with key a, and that has been said.
  void Ready() {
    health_.key_id = "a";
    Say();
  }
  static Adoption::Note Failing() {
    return {absl::FailedPreconditionError("key b is in state Deactivated"),
            "key b is in state Deactivated",
            kStart,
            {}};
  }
  static Adoption::Note Astray() {
    return {kNone, std::string(kNone.message()), kStart, kStart + 15min};
  }

  Deadline now_ = kStart;
  HealthLog log_;
  Health health_;
};

// ---- The key

TEST_F(HealthLogTest, TheFirstKeyIsToldOnce) {
  health_.key_id = "a\n";
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kNotice, "ready: key a? encrypts and decrypts")));
  EXPECT_THAT(Say(), IsEmpty());
}

TEST_F(HealthLogTest, AnotherKeyIsToldWithTheOneBefore) {
  Ready();
  health_.key_id = "b";
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kNotice,
                                      "ready: key b encrypts and decrypts; it replaces key a")));
}

TEST_F(HealthLogTest, ReasonsThatComeByTurnsAreToldOnceEach) {
  Ready();
  std::size_t lines = 0;
  for (int i = 0; i < 1000; ++i) {
    health_.status = i % 2 == 0 ? kRefused : absl::DeadlineExceededError("no answer in time");
    lines += Say().size();
  }
  EXPECT_EQ(lines, 2U);
  for (int i = 0; i < 1000; ++i) {
    health_.status = absl::UnavailableError(std::to_string(i));
    lines += Say().size();
  }
  EXPECT_EQ(lines, 8U) << "and there is a limit to them";
  health_.status = absl::OkStatus();
  Say();
  health_.status = kRefused;
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kError,
                                      "not ready: UNAVAILABLE: connect: Connection refused")));
}

TEST_F(HealthLogTest, AnErrorIsToldOnceAndThatItEnded) {
  Ready();
  EXPECT_FALSE(log_.unwell());
  health_.status = kRefused;
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kError,
                                      "not ready: UNAVAILABLE: connect: Connection refused")));
  EXPECT_TRUE(log_.unwell());
  EXPECT_THAT(Say(), IsEmpty());
  health_.status = absl::OkStatus();
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kNotice, "ready again: key a")));
  EXPECT_FALSE(log_.unwell());
  EXPECT_THAT(Say(), IsEmpty());
}

TEST_F(HealthLogTest, AnErrorOfOtherWordsOrKindIsNews) {
  Ready();
  health_.status = kRefused;
  Say();
  health_.status = absl::UnavailableError("connect: No route to host");
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kError,
                                      "not ready: UNAVAILABLE: connect: No route to host")));
  health_.status = absl::PermissionDeniedError("connect: No route to host");
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kError,
                                      "not ready: PERMISSION_DENIED: connect: No route to host")));
}

TEST_F(HealthLogTest, AFactThatDiffersEachTimeIsShownAndNoNews) {
  Ready();
  health_.status = WithDetail(kRefused, "request 1");
  EXPECT_THAT(Say(),
              ElementsAre(Pair(Severity::kError,
                               "not ready: UNAVAILABLE: connect: Connection refused (request 1)")));
  health_.status = WithDetail(kRefused, "request 2");
  EXPECT_THAT(Say(), IsEmpty());
}

TEST_F(HealthLogTest, WithoutAKeyTheReasonIsToldOnce) {
  health_.status = kNone;
  health_.note = Adoption::Note{kNone, std::string(kNone.message()), kStart, {}};
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kError,
                                      "not ready: NOT_FOUND: no key has the label \"kek\"")));
  EXPECT_THAT(Say(), IsEmpty());
  health_ = Health();
  health_.key_id = "a";
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kNotice, "ready: key a encrypts and decrypts")));
}

TEST_F(HealthLogTest, TroubleThatDoesNotCountYetIsNoLine) {
  Ready();
  health_.trouble = Trouble{kRefused, kStart};
  EXPECT_THAT(Say(), IsEmpty());
}

// ---- Its name

TEST_F(HealthLogTest, ACandidateThatFailsIsToldOnceAndThatItEnded) {
  Ready();
  health_.note = Failing();
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kError,
                                      "trouble with the key's name: key b is in state Deactivated; "
                                      "key a stays in use")));
  EXPECT_THAT(Say(), IsEmpty());
  health_.note.reset();
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kNotice, "the key's name leads to key a again")));
  EXPECT_THAT(Say(), IsEmpty());
}

TEST_F(HealthLogTest, ALabelAstrayNamesTheFlagThatSaysForHowLong) {
  Ready();
  health_.note = Astray();
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kError,
                                      "trouble with the key's name: no key has the label \"kek\"; "
                                      "key a stays in use for a while (--label-grace)")));
  // When the while is over.
  health_.status = kNone;
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kError,
                                      "not ready: NOT_FOUND: no key has the label \"kek\"")));
}

TEST_F(HealthLogTest, ACandidateThatWorksIsToldAndThenThatItIsTheKey) {
  Ready();
  health_.note = {absl::OkStatus(), "key b works and is to be adopted", kStart, {}};
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kNotice,
                                      "key b works and is to be adopted; key a stays in use")));
  health_.note.reset();
  health_.key_id = "b";
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kNotice,
                                      "ready: key b encrypts and decrypts; it replaces key a")));
}

TEST_F(HealthLogTest, AnotherNoteIsNews) {
  Ready();
  health_.note = Failing();
  Say();
  health_.note = Astray();
  EXPECT_THAT(Say(), ::testing::SizeIs(1));
  health_.note->since += 1h;
  health_.note->error_from = kStart;
  EXPECT_THAT(Say(), IsEmpty());
}

TEST_F(HealthLogTest, ANameThatGoesBackAndForthIsSaidAFewTimesAndWhatItComesToInTheEnd) {
  Ready();
  Lines lines;
  const auto look = [&](std::optional<Adoption::Note> note) {
    now_ += 5s;
    health_.note = std::move(note);
    for (auto& line : Say()) lines.push_back(std::move(line));
  };
  while (now_ < kStart + 9min) {
    look(Failing());
    look(std::nullopt);
  }
  ASSERT_EQ(lines.size(), 8U);
  EXPECT_EQ(lines.back().second,
            "the key's name leads to key a again; that changes often: from now on it is said now "
            "and then");
  lines.clear();
  while (now_ < kStart + 11min) look(Failing());
  EXPECT_THAT(lines, ElementsAre(Pair(Severity::kError,
                                      "trouble with the key's name: key b is in state Deactivated; "
                                      "key a stays in use; that changes often: from now on it is "
                                      "said now and then")));
  while (now_ < kStart + 2h) look(Failing());
  lines.clear();
  for (int i = 0; i < 4; ++i) look(i % 2 == 0 ? std::nullopt : std::optional(Failing()));
  EXPECT_EQ(lines.size(), 4U) << "after a calm there is room again";
}

TEST_F(HealthLogTest, WhatComesOfANameThatSomebodyGaveIsAlwaysSaid) {
  Ready();
  for (int i = 0; i < 100; ++i) {
    log_.NameWasGiven();
    health_.note = i % 2 == 0 ? std::optional(Failing()) : std::nullopt;
    EXPECT_EQ(Say().size(), 1U);
  }
}

// The lines that were spared do not keep it from being said that another key is in use.
TEST_F(HealthLogTest, ThatAKeyIsAdoptedIsAlwaysSaid) {
  Ready();
  for (int i = 0; i < 100; ++i) {
    health_.note = i % 2 == 0 ? std::optional(Failing()) : std::nullopt;
    Say();
  }
  health_.note.reset();
  health_.key_id = "b";
  EXPECT_THAT(Say(), ElementsAre(Pair(Severity::kNotice,
                                      "ready: key b encrypts and decrypts; it replaces key a")));
  now_ += 1h;
  EXPECT_THAT(Say(), IsEmpty());
}

TEST_F(HealthLogTest, ThatTheNameIsUnprovenIsToldOnce) {
  health_.key_id = "a";
  health_.name_unproven = true;
  EXPECT_THAT(Say(),
              ElementsAre(Pair(Severity::kNotice, "ready: key a encrypts and decrypts"),
                          Pair(Severity::kWarning,
                               "the KMS hides the names of keys: that key a has the label is its "
                               "word alone; --encryption-key-id needs none")));
  EXPECT_THAT(Say(), IsEmpty());
  health_.name_unproven = false;
  EXPECT_THAT(Say(), IsEmpty());
  health_.name_unproven = true;
  EXPECT_THAT(Say(), ::testing::SizeIs(1));
}

}  // namespace
}  // namespace okms
