// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/call_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <utility>

namespace okms::kmip {
namespace {

using namespace std::chrono_literals;

const Deadline kNow = Clock::now();

std::unique_ptr<Call> CallAt(Deadline deadline, Rank rank = Rank::kDecrypt) {
  auto call = std::make_unique<Call>();
  call->deadline = deadline;
  call->rank = rank;
  return call;
}

TEST(CallQueueTest, TheFirstDeadlineComesFirst) {
  Traffic traffic;
  Counters counters{traffic};
  CallQueue queue(counters);
  for (const auto after : {2s, 1s, 3s, 1s}) queue.Add(CallAt(kNow + after));
  for (const auto after : {1s, 1s, 2s, 3s}) {
    EXPECT_EQ(queue.First(Rank::kDecrypt).deadline, kNow + after);
    EXPECT_EQ(queue.Take(Rank::kDecrypt)->deadline, kNow + after);
  }
  EXPECT_TRUE(queue.empty());
}

TEST(CallQueueTest, EachRankHasItsOwn) {
  Traffic traffic;
  Counters counters{traffic};
  CallQueue queue(counters);
  queue.Add(CallAt(kNow, Rank::kDecrypt));
  queue.Add(CallAt(kNow + 1s, Rank::kCheck));
  EXPECT_EQ(queue.size(Rank::kEncrypt), 0U);
  EXPECT_EQ(queue.Take(Rank::kCheck)->rank, Rank::kCheck);
  EXPECT_EQ(queue.size(Rank::kDecrypt), 1U);
}

TEST(CallQueueTest, AHerdTakesNoRoomFromOthers) {
  Traffic traffic;
  Counters counters{traffic};
  CallQueue queue(counters);
  for (std::size_t i = 0; i < CallQueue::kMost; ++i) {
    EXPECT_FALSE(queue.IsFull(Rank::kDecrypt));
    queue.Add(CallAt(kNow));
  }
  EXPECT_TRUE(queue.IsFull(Rank::kDecrypt));
  EXPECT_FALSE(queue.IsFull(Rank::kEncrypt));
  EXPECT_FALSE(queue.IsFull(Rank::kCheck));
}

TEST(CallQueueTest, OneIsFoundAmongThoseOfTheSameDeadline) {
  Traffic traffic;
  Counters counters{traffic};
  CallQueue queue(counters);
  queue.Add(CallAt(kNow));
  auto call = CallAt(kNow);
  const Call& mine = *call;
  queue.Add(std::move(call));
  queue.Add(CallAt(kNow));
  const auto waiting = [&] { return counters.waiting[2].value(); };
  EXPECT_EQ(waiting(), 3);
  const std::unique_ptr<Call> taken = queue.Take(mine);
  EXPECT_EQ(waiting(), 2);
  EXPECT_EQ(taken.get(), &mine);
  EXPECT_EQ(queue.Take(mine), nullptr);
  EXPECT_EQ(waiting(), 2);
  queue.Take(Rank::kDecrypt);
  queue.Add(CallAt(kNow));
  EXPECT_EQ(waiting(), 2);
  EXPECT_EQ(queue.size(Rank::kDecrypt), 2U);
}

TEST(CallQueueTest, ThoseThatWaitedInVainAsOftenAsTheyMayAreHopeless) {
  Traffic traffic;
  Counters counters{traffic};
  CallQueue queue(counters);
  queue.Add(CallAt(kNow));
  EXPECT_TRUE(queue.TakeHopeless(2).empty());
  queue.Add(CallAt(kNow, Rank::kEncrypt));
  const auto hopeless = queue.TakeHopeless(2);
  ASSERT_EQ(hopeless.size(), 1U);
  EXPECT_EQ(hopeless.front()->rank, Rank::kDecrypt);
  EXPECT_EQ(counters.waiting[1].value(), 1);
  EXPECT_EQ(counters.waiting[2].value(), 0);
  EXPECT_EQ(queue.TakeHopeless(0).size(), 1U) << "nothing helps: at once";
  EXPECT_TRUE(queue.empty());
}

TEST(CallQueueTest, AllAreTaken) {
  Traffic traffic;
  Counters counters{traffic};
  CallQueue queue(counters);
  queue.Add(CallAt(kNow));
  queue.Add(CallAt(kNow + 2s, Rank::kEncrypt));
  queue.Add(CallAt(kNow + 1s, Rank::kCheck));
  EXPECT_EQ(queue.Latest(), kNow + 2s);
  EXPECT_EQ(queue.TakeAll().size(), 3U);
  for (const Gauge& waiting : counters.waiting) EXPECT_EQ(waiting.value(), 0);
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace okms::kmip
