// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/deadline.h"

#include <gtest/gtest.h>

namespace okms {
namespace {

using namespace std::chrono_literals;

TEST(Expired, FromTheDeadlineOn) {
  EXPECT_TRUE(Expired(Clock::now()));
  EXPECT_TRUE(Expired(Deadline()));
  EXPECT_FALSE(Expired(Clock::now() + 1h));
}

TEST(PollTimeout, IsZeroOnceTheDeadlineHasPassed) {
  EXPECT_EQ(PollTimeout(Clock::now()), 0);
  EXPECT_EQ(PollTimeout(Clock::now() - 1h), 0);
  EXPECT_EQ(PollTimeout(Deadline()), 0);
}

TEST(PollTimeout, IsClampedToWhatPollTakes) {
  EXPECT_EQ(PollTimeout(Clock::now() + 10000h), INT_MAX);
  EXPECT_EQ(PollTimeout(Deadline::max()), INT_MAX);
}

// Whenever between `before` and `after` the clock was read: a wait of that length does not end
// before the deadline, nor a whole millisecond after it.
TEST(PollTimeout, RoundsUpAndByLessThanAMillisecond) {
  for (int i = 0; i < 1000; ++i) {
    const Deadline deadline = Clock::now() + 10s + i * 1us;
    const auto before = Clock::now();
    const std::chrono::milliseconds timeout(PollTimeout(deadline));
    const auto after = Clock::now();
    ASSERT_GE(after + timeout, deadline);
    ASSERT_LT(before + timeout, deadline + 1ms);
  }
}

}  // namespace
}  // namespace okms
