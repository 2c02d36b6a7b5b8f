// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/backoff.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>

namespace okms {
namespace {

using namespace std::chrono_literals;

TEST(BackoffTest, DoublesUpToTheLongest) {
  EXPECT_EQ(Backoff(1, 100ms, 700ms), 100ms);
  EXPECT_EQ(Backoff(2, 100ms, 700ms), 200ms);
  EXPECT_EQ(Backoff(3, 100ms, 700ms), 400ms);
  EXPECT_EQ(Backoff(4, 100ms, 700ms), 700ms);
  EXPECT_EQ(Backoff(std::numeric_limits<int>::max(), 100ms, 700ms), 700ms);
}

}  // namespace
}  // namespace okms
