// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/batch_size.h"

#include <gtest/gtest.h>

namespace okms::kmip {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kSessions = 4;

TEST(BatchSizeTest, EachSessionHasItsShareWhileNothingIsKnown) {
  const BatchSize size;
  EXPECT_EQ(size.Most(100, kSessions, 3s), 25U);
  EXPECT_EQ(size.Most(9, kSessions, 3s), 3U);
}

TEST(BatchSizeTest, TwoAreTriedToSeeWhatItBrings) {
  const BatchSize size;
  EXPECT_EQ(size.Most(1, kSessions, 3s), 1U);
  EXPECT_EQ(size.Most(3, kSessions, 3s), 2U);
}

TEST(BatchSizeTest, AllGoAtOnceWhereTheWayTakesTheTime) {
  BatchSize size;
  size.Took(5ms, 1);
  size.Took(5ms, 2);
  EXPECT_EQ(size.Most(12, kSessions, 3s), 12U);
}

TEST(BatchSizeTest, EachSessionHasItsShareWhereTheKmsTakesTheTime) {
  BatchSize size;
  size.Took(5ms, 1);
  size.Took(10ms, 2);
  EXPECT_EQ(size.Most(12, kSessions, 3s), 3U);
}

TEST(BatchSizeTest, FewSessionsAreEnoughForAKmsThatAnswersSeveralInAMoment) {
  BatchSize size;
  EXPECT_GT(size.Sessions(), 1000U);
  size.Took(400us, 1);
  EXPECT_GT(size.Sessions(), 1000U) << "several may take longer";
  size.Took(800us, 16);
  EXPECT_EQ(size.Sessions(), 3U);
}

TEST(BatchSizeTest, AllSessionsAreNeededWhereTheKmsTakesTheTime) {
  BatchSize size;
  size.Took(400us, 1);
  size.Took(1600us, 4);
  EXPECT_GT(size.Sessions(), 1000U);
}

TEST(BatchSizeTest, AllSessionsAreNeededWhereTheWayTakesTheTime) {
  BatchSize size;
  size.Took(5ms, 1);
  size.Took(5ms, 16);
  EXPECT_GT(size.Sessions(), 1000U);
}

TEST(BatchSizeTest, TheLastOneMustHaveTheTime) {
  BatchSize size;
  size.Took(300ms, 1);
  size.Took(600ms, 2);
  EXPECT_EQ(size.Most(100, kSessions, 3s), 5U);
  EXPECT_EQ(size.Most(100, kSessions, 100ms), 1U);
}

TEST(BatchSizeTest, OneSlowBatchIsNotTheLast) {
  BatchSize size;
  size.Took(20ms, 1);
  size.Took(2200ms, 2);
  EXPECT_EQ(size.Most(100, kSessions, 2s), 25U);
}

TEST(BatchSizeTest, WhoHasLessThanHalfOfTheTimeIsTooLate) {
  BatchSize size;
  EXPECT_EQ(size.Least(), 0s);
  size.Took(300ms, 1);
  size.Took(600ms, 4);
  EXPECT_EQ(size.Least(), 150ms);
}

TEST(BatchSizeTest, WhatChangesIsSeen) {
  BatchSize size;
  size.Took(5ms, 1);
  size.Took(10ms, 2);
  for (int i = 0; i < 50; ++i) size.Took(5ms, 5);
  EXPECT_EQ(size.Most(12, kSessions, 3s), 12U);
}

}  // namespace
}  // namespace okms::kmip
