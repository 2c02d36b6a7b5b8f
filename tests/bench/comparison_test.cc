// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "bench/comparison.h"

#include <gtest/gtest.h>

namespace okms::test {
namespace {

using nlohmann::json;

TEST(MedianTest, IsTheOneInTheMiddle) {
  EXPECT_EQ(Median({}), 0);
  EXPECT_EQ(Median({7}), 7);
  EXPECT_EQ(Median({9, 1, 5}), 5);
  EXPECT_EQ(Median({8, 1, 2, 4}), 3);
}

TEST(MediansTest, AreOfEachNumberByItsName) {
  const std::vector<json> rounds = {
      {{"rate", 10}, {"latency", {{"p50", 3.5}}}, {"name", "text"}},
      {{"rate", 30}, {"latency", {{"p50", 1.5}}}, {"seldom", 4}},
      {{"rate", 20}, {"latency", {{"p50", 2.5}}}},
  };
  EXPECT_EQ(Medians(rounds), (json{{"rate", 20.0}, {"latency", {{"p50", 2.5}}}, {"seldom", 4.0}}));
  EXPECT_EQ(Medians({}), json::object());
}

TEST(MediansTest, AreNotOfTexts) {
  const json figures = {{"errors", 2}, {"errors_by_text", {{"a/b: away", 2}}}};
  EXPECT_EQ(Medians({figures}), (json{{"errors", 2.0}}));
}

TEST(RatiosTest, AreOfLeftByRight) {
  const json left = {{"rate", 30}, {"latency", {{"p50", 1}}}, {"errors", 5}, {"own", 1}};
  const json right = {{"rate", 20}, {"latency", {{"p50", 4}}}, {"errors", 0}};
  EXPECT_EQ(
      Ratios(left, right),
      (json{{"rate", 1.5}, {"latency", {{"p50", 0.25}}}, {"errors", nullptr}, {"own", nullptr}}));
}

TEST(CompareTest, TakesTurnsInWhoComesFirst) {
  std::string order;
  const json result = Compare(
      3,
      [&] {
        order += 'a';
        return json{{"rate", order.size()}};  // 1, 4, 5
      },
      [&] {
        order += 'b';
        return json{{"rate", order.size()}};  // 2, 3, 6
      });
  EXPECT_EQ(order, "abbaab");
  EXPECT_EQ(result["rounds"], 3);
  EXPECT_EQ(result["this"].size(), 3U);
  EXPECT_EQ(result["other"][2]["rate"], 6);
  EXPECT_EQ(result["median"]["this"]["rate"], 4);
  EXPECT_EQ(result["median"]["other"]["rate"], 3);
  EXPECT_DOUBLE_EQ(result["ratio"]["rate"], 4.0 / 3);
}

TEST(HasErrorsTest, LooksAtEachSampleAndRound) {
  const json good = {{"errors", 0}, {"status", {{"errors", 0}}}, {"encrypt", {{"errors", 0}}}};
  const json bad_beside = {{"errors", 0}, {"encrypt", {{"errors", 1}}}};
  EXPECT_FALSE(HasErrors(good));
  EXPECT_TRUE(HasErrors(json{{"errors", 2}}));
  EXPECT_TRUE(HasErrors(bad_beside));
  EXPECT_FALSE(HasErrors(json{{"this", {good, good}}, {"other", {good}}}));
  EXPECT_TRUE(HasErrors(json{{"this", {good}}, {"other", {good, bad_beside}}}));
}

TEST(MarkdownTableTest, HasARowForEachNumber) {
  const json comparison = {
      {"median",
       {{"this", {{"calls", 13715}, {"latency_ms", {{"p50", 0.04912}}}, {"errors", 0}}},
        {"other", {{"calls", 1234.567}, {"latency_ms", {{"p50", 17.25}}}, {"errors", 0}}}}},
      {"ratio", {{"calls", 11.109}, {"latency_ms", {{"p50", 0.002847}}}, {"errors", nullptr}}}};
  EXPECT_EQ(MarkdownTable(comparison),
            "| median | this | other | this / other |\n"
            "|---|---:|---:|---:|\n"
            "| calls | 13715 | 1235 | 11.1 |\n"
            "| errors | 0 | 0 | - |\n"
            "| latency_ms p50 | 0.0491 | 17.2 | 0.00285 |\n");
}

}  // namespace
}  // namespace okms::test
