// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "bench/sample.h"

#include <gtest/gtest.h>

#include <latch>

#include "bench/crew.h"

namespace okms::test {
namespace {

using std::chrono::microseconds;

std::vector<microseconds> Milliseconds(int last) {
  std::vector<microseconds> all;
  for (int i = 1; i <= last; ++i) all.emplace_back(i * 1000);
  return all;
}

TEST(PercentileTest, IsInMilliseconds) {
  EXPECT_EQ(Percentile(Milliseconds(101), 0), 1);
  EXPECT_EQ(Percentile(Milliseconds(101), 0.5), 51);
  EXPECT_EQ(Percentile(Milliseconds(101), 0.99), 100);
  EXPECT_EQ(Percentile(Milliseconds(101), 1), 101);
  EXPECT_EQ(Percentile({microseconds(1)}, 0.5), 0.001);
}

TEST(PercentileTest, OfNothingIsZero) { EXPECT_EQ(Percentile({}, 0.5), 0); }

TEST(SampleTest, SortsAndCounts) {
  Sample sample;
  sample.Add(microseconds(3000), absl::OkStatus());
  sample.Add(microseconds(1000), absl::UnavailableError("away"));
  sample.Add(microseconds(2000), absl::UnavailableError("away"));
  EXPECT_EQ(sample.calls(), 3U);
  const nlohmann::json json = sample.ToJson();
  EXPECT_EQ(json["calls"], 3);
  EXPECT_EQ(json["errors"], 2);
  EXPECT_EQ(json["errors_by_text"], (nlohmann::json{{"UNAVAILABLE: away", 2}}));
  EXPECT_EQ(json["latency_ms"]["p50"], 2);
  EXPECT_EQ(json["latency_ms"]["max"], 3);
}

TEST(SampleTest, TimesACall) {
  Sample sample;
  sample.Time([] { return absl::InternalError("broken"); });
  EXPECT_EQ(sample.calls(), 1U);
  EXPECT_EQ(sample.ToJson()["errors"], 1);
}

TEST(CrewTest, AddsUpWhatItsMembersSaw) {
  std::latch gate(1);
  std::vector<int> seen(3);
  Crew crew(gate, seen.size(), [&](std::size_t member, Sample& sample) {
    ++seen[member];
    const auto outcome = member < 2 ? absl::UnavailableError("away") : absl::OkStatus();
    sample.Add(microseconds(1000), outcome);
    sample.Add(microseconds(1000), outcome);
  });
  gate.count_down();
  const nlohmann::json all = crew.Join().ToJson();
  EXPECT_EQ(seen, (std::vector<int>{1, 1, 1}));
  EXPECT_EQ(all["calls"], 6);
  EXPECT_EQ(all["errors"], 4);
}

}  // namespace
}  // namespace okms::test
