// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/growth.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace okms::kmip {
namespace {

using namespace std::chrono_literals;

TEST(GrowthTest, NothingIsKnownAtFirst) {
  const Growth growth(16);
  EXPECT_EQ(growth.Limit(0, Clock::now()), 16U);
  EXPECT_EQ(growth.Limit(3, Clock::now()), 16U);
}

TEST(GrowthTest, AfterARefusalThereAreAsManyAsThereAre) {
  const auto now = Clock::now();
  Growth growth(16);
  growth.Failed(now);
  EXPECT_EQ(growth.Limit(2, now), 2U);
  EXPECT_EQ(growth.Limit(1, now), 1U);
  EXPECT_EQ(growth.paused_until(), now + 1s);
}

TEST(GrowthTest, AfterThePauseOneMoreIsAskedForWhileTheOthersShare) {
  const auto now = Clock::now();
  Growth growth(16);
  EXPECT_EQ(growth.Sharing(2), 16U);
  growth.Failed(now);
  EXPECT_EQ(growth.Limit(2, now + 1s), 3U);
  EXPECT_EQ(growth.Sharing(2), 2U);
  growth.Succeeded();
  EXPECT_EQ(growth.Limit(3, now + 1s), 16U);
  EXPECT_EQ(growth.Sharing(3), 16U);
}

TEST(GrowthTest, ThereAreNeverMoreThanAllowed) {
  Growth growth(2);
  growth.Failed(Clock::now());
  EXPECT_EQ(growth.Limit(2, Clock::now() + 1h), 2U);
}

TEST(GrowthTest, WithNoneThereItIsNoLimit) {
  const auto now = Clock::now();
  Growth growth(16);
  growth.Failed(now);
  EXPECT_EQ(growth.Limit(0, now), 16U);
}

TEST(GrowthTest, EachRefusalMoreIsALongerPauseUpToAMinute) {
  auto now = Clock::now();
  Growth growth(16);
  for (const auto pause : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    growth.Failed(now);
    EXPECT_EQ(growth.paused_until(), now + pause);
    now += pause;
  }
  growth.Succeeded();
  growth.Failed(now);
  EXPECT_EQ(growth.paused_until(), now + 1s);
}

// As many as may work for that rank when nobody else does.
std::size_t Most(Rank rank, std::size_t limit) {
  std::array<std::size_t, kRanks> busy{};
  std::size_t& mine = busy[static_cast<std::size_t>(rank)];
  while (MayWork(rank, busy, limit)) ++mine;
  return mine;
}

TEST(MayWorkTest, HerdsLeaveRoom) {
  EXPECT_EQ(Most(Rank::kDecrypt, 16), 12U);
  EXPECT_EQ(Most(Rank::kEncrypt, 16), 14U);
  EXPECT_EQ(Most(Rank::kCheck, 16), 8U);
}

TEST(MayWorkTest, EncryptsFindRoomBesideAsManyDecryptsAsThereMayBe) {
  for (std::size_t limit = 3; limit <= 64; ++limit) {
    EXPECT_TRUE(MayWork(Rank::kEncrypt, {0, 0, Most(Rank::kDecrypt, limit)}, limit)) << limit;
  }
}

TEST(MayWorkTest, ChecksFindRoomBesideAsManyCallsAsThereMayBe) {
  for (std::size_t limit = 2; limit <= 64; ++limit) {
    EXPECT_LT(Most(Rank::kEncrypt, limit), limit);
  }
}

TEST(MayWorkTest, OneForEachIsAlwaysThere) {
  for (std::size_t limit = 1; limit <= 64; ++limit) {
    for (const Rank rank : {Rank::kCheck, Rank::kEncrypt, Rank::kDecrypt}) {
      EXPECT_GE(Most(rank, limit), 1U) << limit;
    }
  }
}

}  // namespace
}  // namespace okms::kmip
