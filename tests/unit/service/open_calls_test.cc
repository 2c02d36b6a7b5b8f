// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/open_calls.h"

#include <gtest/gtest.h>

namespace okms {
namespace {

using namespace std::chrono_literals;

TEST(OpenCallsTest, FirstDeadlineIsTheSoonestOfThoseWithoutAnAnswer) {
  OpenCalls calls;
  EXPECT_EQ(calls.FirstDeadline(), Deadline::max());
  const Deadline now = Clock::now();
  const auto late = calls.Begin(now + 3s);
  const auto soon = calls.Begin(now + 1s);
  const auto later = calls.Begin(now + 2s);
  EXPECT_EQ(calls.FirstDeadline(), now + 1s);
  calls.Answered(soon);
  EXPECT_EQ(calls.FirstDeadline(), now + 2s);
  calls.Answered(late);
  calls.Answered(later);
  EXPECT_EQ(calls.FirstDeadline(), Deadline::max());
}

TEST(OpenCallsTest, NoneIsOpenWhenAllHaveTheirAnswer) {
  OpenCalls calls;
  EXPECT_TRUE(calls.None());
  const auto call = calls.Begin(Clock::now());
  EXPECT_FALSE(calls.None());
  calls.Answered(call);
  EXPECT_TRUE(calls.None());
}

TEST(OpenCallsTest, AllThatBeganAreCounted) {
  OpenCalls calls;
  EXPECT_EQ(calls.begun(), 0);
  calls.Answered(calls.Begin(Clock::now()));
  const auto open = calls.Begin(Clock::now());
  EXPECT_EQ(calls.begun(), 2);
  calls.Answered(open);
  EXPECT_EQ(calls.begun(), 2);
}

}  // namespace
}  // namespace okms
