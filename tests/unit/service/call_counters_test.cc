// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/call_counters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/count.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

TEST(CallCountersTest, EachMethodHasItsOwnCodesAndTimes) {
  CallCounters counters;
  counters.Answered(KmsMethod::kDecrypt, absl::StatusCode::kOk, 2ms);
  counters.Answered(KmsMethod::kDecrypt, absl::StatusCode::kOk, 3ms);
  counters.Answered(KmsMethod::kDecrypt, absl::StatusCode::kUnauthenticated, 20s);
  counters.Answered(KmsMethod::kEncrypt, absl::StatusCode::kUnavailable, 1ms);
  const std::vector<MethodStats> stats = counters.Stats();
  ASSERT_THAT(stats, SizeIs(3));
  EXPECT_EQ(stats[0].method, "Status");
  EXPECT_THAT(stats[0].by_code, IsEmpty());
  EXPECT_EQ(stats[1].method, "Encrypt");
  EXPECT_THAT(stats[1].by_code, ElementsAre(Pair("UNAVAILABLE", 1)));
  EXPECT_EQ(stats[2].method, "Decrypt");
  EXPECT_THAT(stats[2].by_code, ElementsAre(Pair("OK", 2), Pair("UNAUTHENTICATED", 1)));
  EXPECT_DOUBLE_EQ(stats[2].seconds.sum, 20.005);
  EXPECT_EQ(test::Count(stats[2].seconds), 3);
  EXPECT_EQ(stats[2].seconds.counts.back(), 1);
}

// Whatever number a peer of ours makes up.
TEST(CallCountersTest, NoCodeIsOutOfBounds) {
  CallCounters counters;
  counters.Answered(KmsMethod::kStatus, static_cast<absl::StatusCode>(1'000'000), 1ms);
  EXPECT_THAT(counters.Stats()[0].by_code, SizeIs(1));
}

}  // namespace
}  // namespace okms
