// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/health.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace okms {
namespace {

using namespace std::chrono_literals;

constexpr char kKey[] = "70001308-5674-43fe-93dd-6270ecac0710";

// What is said 42.9 seconds after `status` came about; `key_id` is the adopted key.
std::string After42s(const std::string& key_id, absl::Status status) {
  const Deadline now = Clock::now();
  return StatusLine({key_id, std::move(status), now - 42'900ms}, now, "");
}

TEST(StatusLineTest, NamesTheKeyThatWorks) {
  EXPECT_EQ(StatusLine({kKey, absl::OkStatus(), {}}, Clock::now(), ""),
            "serving; key 70001308-5674-43fe-93dd-6270ecac0710");
}

TEST(StatusLineTest, SaysForHowLongTheKmsIsUnreachable) {
  EXPECT_EQ(After42s(kKey, absl::UnavailableError("connect: Connection refused")),
            "serving; KMS unreachable for 42 s (connect: Connection refused); key "
            "70001308-5674-43fe-93dd-6270ecac0710");
  EXPECT_EQ(After42s(kKey, absl::DeadlineExceededError("no answer in time")),
            "serving; KMS unreachable for 42 s (no answer in time); key "
            "70001308-5674-43fe-93dd-6270ecac0710");
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
  EXPECT_EQ(StatusLine({"", absl::UnavailableError("no key has been verified yet"), {}},
                       Clock::now(), ""),
            "serving; no key yet");
}

TEST(StatusLineTest, WhatTheCallerAddsIsLast) {
  EXPECT_EQ(StatusLine({"k", absl::OkStatus(), {}}, Clock::now(), "; Landlock ABI 7"),
            "serving; key k; Landlock ABI 7");
  const Deadline now = Clock::now();
  EXPECT_EQ(StatusLine({"k", absl::UnavailableError("away"), now}, now, "; Landlock ABI 7"),
            "serving; KMS unreachable for 0 s (away); key k; Landlock ABI 7");
}

// sd_notify(3) takes a new line for a new assignment, which a peer's text must not make.
TEST(StatusLineTest, IsOneLine) {
  EXPECT_EQ(After42s("k\nREADY=1", absl::UnavailableError("away\nWATCHDOG=1")),
            "serving; KMS unreachable for 42 s (away?WATCHDOG=1); key k?READY=1");
}

TEST(StatusLineTest, LongTextIsCut) {
  EXPECT_LT(After42s(std::string(5000, 'k'), absl::UnavailableError(std::string(5000, 'r'))).size(),
            800u);
}

TEST(StatusLineTest, ATimeAheadOfNowIsNone) {
  const Deadline now = Clock::now();
  EXPECT_EQ(StatusLine({"k", absl::UnavailableError("away"), now + 5s}, now, ""),
            "serving; KMS unreachable for 0 s (away); key k");
}

}  // namespace
}  // namespace okms
