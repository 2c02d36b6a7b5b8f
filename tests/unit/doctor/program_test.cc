// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "support/status_is.h"
#include "unit/environment.h"

namespace okms::doctor {
namespace {

using test::IsOk;
using test::ScopedVariable;
using test::StatusIs;
using testing::HasSubstr;

Deadline Soon() { return Clock::now() + std::chrono::minutes(1); }

TEST(RunProgram, BothStreamsAndHowItEnded) {
  const auto ended = RunProgram({"sh", "-c", "echo out; echo err >&2; exit 3"}, 100, Soon());
  ASSERT_THAT(ended, IsOk());
  EXPECT_EQ(ended->output, "out\nerr\n");
  EXPECT_FALSE(ended->well);
  EXPECT_TRUE(RunProgram({"true"}, 100, Soon())->well);
}

TEST(RunProgram, InEnglishAndWithNothingToRead) {
  const ScopedVariable language("LC_ALL", "de_DE.UTF-8");
  const auto ended = RunProgram({"sh", "-c", "cat; echo $LC_ALL"}, 100, Soon());
  ASSERT_THAT(ended, IsOk());
  EXPECT_EQ(ended->output, "C\n");
}

TEST(RunProgram, EndsWhatSaysTooMuchOrNothing) {
  const auto ended = RunProgram({"yes"}, 5, Soon());
  ASSERT_THAT(ended, IsOk());
  EXPECT_EQ(ended->output, "y\ny\ny");
  EXPECT_THAT(RunProgram({"sleep", "600"}, 5, Clock::now() + std::chrono::milliseconds(50)),
              StatusIs(absl::StatusCode::kUnavailable, "sleep: no answer in time"));
}

TEST(OutputOf, OrWhyThereIsNone) {
  EXPECT_THAT(OutputOf({"echo", "a", "b c"}), test::IsOkAndHolds("a b c\n"));
  EXPECT_THAT(OutputOf({"sh", "-c", "echo first; echo second; false"}),
              StatusIs(absl::StatusCode::kUnavailable, "sh: first"));
  EXPECT_THAT(OutputOf({"no-such-program"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no-such-program: No such file")));
}

}  // namespace
}  // namespace okms::doctor
