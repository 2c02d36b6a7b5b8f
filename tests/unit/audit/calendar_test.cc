// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/calendar.h"

#include <gtest/gtest.h>

#include <iterator>
#include <random>
#include <string>
#include <utility>

#include "unit/audit/values.h"

namespace okms::audit {
namespace {

absl::Time Second(std::int64_t seconds) { return absl::FromUnixSeconds(1'700'000'000 + seconds); }

TEST(CalendarTest, SaysBetweenWhichTimes) {
  Calendar calendar;
  for (const std::int64_t revision : {300, 100, 200}) calendar.Add(revision, Second(revision));
  calendar.Settle();
  const Between between = calendar.When(150);
  EXPECT_EQ(between.from, Second(100));
  EXPECT_EQ(between.to, Second(200));
  EXPECT_EQ(calendar.When(50).from, std::nullopt);
  EXPECT_EQ(calendar.When(50).to, Second(100));
  EXPECT_EQ(calendar.When(350).from, Second(300));
  EXPECT_EQ(calendar.When(350).to, std::nullopt);
  EXPECT_EQ(calendar.When(200).from, Second(200));
  EXPECT_EQ(calendar.When(200).to, Second(200));
}

TEST(CalendarTest, KnowsNothingOfNothing) {
  Calendar calendar;
  calendar.Settle();
  EXPECT_EQ(calendar.When(1).from, std::nullopt);
  EXPECT_EQ(calendar.When(1).to, std::nullopt);
}

TEST(CalendarTest, IsBoundedAndStaysTrue) {
  Calendar calendar;
  constexpr std::int64_t kMany = 1'000'000;
  // In the order of keys, which is none of revisions.
  for (std::int64_t i = 0; i < kMany; ++i) {
    const std::int64_t revision = 1 + i * 7919 % kMany;
    calendar.Add(revision, Second(revision));
  }
  calendar.Settle();
  EXPECT_LE(calendar.entries(), 2 * Calendar::kMostEras);
  for (std::int64_t revision = 1000; revision < kMany - 1000; revision += 12'347) {
    const Between between = calendar.When(revision);
    ASSERT_TRUE(between.from && between.to);
    EXPECT_LE(*between.from, Second(revision));
    EXPECT_GE(*between.to, Second(revision));
    EXPECT_LT(*between.to - *between.from, absl::Seconds(kMany / 1000));
  }
}

TEST(CalendarTest, IsTheSameInAnyOrder) {
  const std::pair<std::int64_t, std::int64_t> entries[] = {{5, 50}, {5, 40}, {5, 60}, {7, 70}};
  Calendar one;
  Calendar other;
  for (std::size_t i = 0; i < std::size(entries); ++i) {
    one.Add(entries[i].first, Second(entries[i].second));
    const auto& [revision, time] = entries[std::size(entries) - 1 - i];
    other.Add(revision, Second(time));
  }
  one.Settle();
  other.Settle();
  for (const std::int64_t revision : {4, 5, 6, 7, 8}) {
    EXPECT_EQ(one.When(revision).from, other.When(revision).from) << revision;
    EXPECT_EQ(one.When(revision).to, other.When(revision).to) << revision;
  }
}

TEST(CalendarTest, LeavesOutLiars) {
  Calendar calendar;
  for (std::int64_t revision = 10; revision <= 1000; revision += 10) {
    calendar.Add(revision, Second(revision * 1000));
  }
  calendar.Add(505, Second(1));           // copied from another cluster
  calendar.Add(515, Second(99'000'000));  // whose clock was ahead
  calendar.Settle();
  EXPECT_EQ(calendar.When(507).from, Second(500'000));
  EXPECT_EQ(calendar.When(507).to, Second(510'000));
  EXPECT_EQ(calendar.When(517).from, Second(510'000));
  EXPECT_EQ(calendar.When(517).to, Second(520'000));
}

TEST(CalendarTest, SaysNothingWhenMostLie) {
  Calendar calendar;
  std::minstd_rand random(1);
  for (std::int64_t revision = 1; revision <= 1000; ++revision) {
    calendar.Add(revision, Second(static_cast<std::int64_t>(random() % 100'000'000)));
  }
  calendar.Settle();
  EXPECT_EQ(calendar.When(500).from, std::nullopt);
  EXPECT_EQ(calendar.When(500).to, std::nullopt);
}

TEST(CalendarTest, ClocksMayDifferByALittle) {
  Calendar calendar;
  for (std::int64_t revision = 1; revision <= 1000; ++revision) {
    calendar.Add(revision, Second(revision + (revision % 3) * 5));  // of three apiservers
  }
  calendar.Settle();
  const Between between = calendar.When(500);
  ASSERT_TRUE(between.from && between.to);
  EXPECT_LE(*between.from, Second(515));
  EXPECT_GE(*between.to, Second(495));
}

TEST(CreationTimeTest, ReadsBothForms) {
  EXPECT_EQ(CreationTime(Protobuf(1'700'000'000), Kind::kProtobuf), Second(0));
  const std::string json =
      R"({"apiVersion":"a/v1","items":[{"metadata":{"creationTimestamp":"2001-01-01T00:00:00Z"}}],)"
      R"("metadata":{"annotations":{"creationTimestamp":"2002-01-01T00:00:00Z"},)"
      R"("creationTimestamp":"2023-11-14T22:13:20Z","name":"n"},"spec":{"a":)";
  EXPECT_EQ(CreationTime(json, Kind::kJson), Second(0)) << "what follows is not read";
}

TEST(CreationTimeTest, TakesNoGarbage) {
  for (const std::string& json :
       {std::string("{"), std::string("{}"),
        std::string(R"({"creationTimestamp":"2023-11-14T22:13:20Z"})"),
        std::string(R"({"metadata":{"creationTimestamp":null}})"),
        std::string(R"({"metadata":{"creationTimestamp":17}})"),
        std::string(R"({"metadata":{"creationTimestamp":"yesterday"}})"),
        std::string(R"({"metadata":{"creationTimestamp":"1970-01-01T00:00:00Z"}})"),
        std::string(R"({"metadata":{"creationTimestamp":["2023-11-14T22:13:20Z"]}})"),
        std::string(R"({"metadata":[{"creationTimestamp":"2023-11-14T22:13:20Z"}]})"),
        std::string(100'000, '['), "{\"metadata\":" + std::string(100'000, '{')}) {
    EXPECT_EQ(CreationTime(json, Kind::kJson), std::nullopt) << json.substr(0, 80);
  }
  EXPECT_EQ(CreationTime(Protobuf(0), Kind::kProtobuf), std::nullopt);
  EXPECT_EQ(CreationTime(Protobuf(~0ULL), Kind::kProtobuf), std::nullopt);
  const std::string whole = Protobuf(1'700'000'000);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(CreationTime(whole.substr(0, size), Kind::kProtobuf), std::nullopt) << size;
  }
  EXPECT_EQ(CreationTime(KmsV2("k", "s"), Kind::kKmsV2), std::nullopt);
}

}  // namespace
}  // namespace okms::audit
