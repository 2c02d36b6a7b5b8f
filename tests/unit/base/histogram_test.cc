// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/histogram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/counter.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using ::testing::Each;
using ::testing::ElementsAre;

constexpr std::array<int64_t, 3> kFew = {1, 4, 16};

TEST(HistogramTest, ABoundBelongsToItsBucket) {
  Histogram<kFew> histogram;
  for (const int64_t value : {1, 2, 4, 5, 16, 17, 1000}) histogram.Add(value);
  const Distribution stats = histogram.Stats();
  EXPECT_THAT(stats.bounds, ElementsAre(1, 4, 16));
  EXPECT_THAT(stats.counts, ElementsAre(1, 2, 2, 2));
  EXPECT_EQ(stats.sum, 1045);
}

TEST(HistogramTest, ShowsTimesInSeconds) {
  TimeHistogram histogram;
  histogram.Add(100us);
  histogram.Add(11s);
  const Distribution stats = histogram.Stats();
  EXPECT_DOUBLE_EQ(stats.bounds.front(), 1e-4);
  EXPECT_DOUBLE_EQ(stats.bounds.back(), 10);
  EXPECT_EQ(stats.counts.front(), 1);
  EXPECT_EQ(stats.counts.back(), 1);
  EXPECT_DOUBLE_EQ(stats.sum, 11.0001);
}

TEST(HistogramTest, LosesNothingAmongThreads) {
  constexpr int kTimes = 10'000;
  Histogram<kFew> histogram;
  Counter counter;
  Gauge gauge;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < kTimes; ++n) {
        const Counted one(gauge);
        histogram.Add(n % 4 == 0 ? 1 : n % 4 == 1 ? 4 : n % 4 == 2 ? 16 : 17);
        counter.Add();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(histogram.Stats().counts, Each(kTimes));
  EXPECT_EQ(counter.value(), 4 * kTimes);
  EXPECT_EQ(gauge.value(), 0);
}

TEST(CounterTest, CountedIsThereWhileItLives) {
  Gauge gauge;
  {
    const Counted one(gauge);
    const Counted another(gauge);
    EXPECT_EQ(gauge.value(), 2);
  }
  EXPECT_EQ(gauge.value(), 0);
}

}  // namespace
}  // namespace okms
