// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "support/status_is.h"

namespace okms::ctl {
namespace {

using test::StatusIs;
using testing::HasSubstr;

TEST(ReportTest, IsAnObjectWithAVerdict) {
  for (const char* const text :
       {"", "{", "[]", "null", "\"ready\"", "{\"ready\":1}", "{}", "{\"ready\":true} x"}) {
    EXPECT_THAT(ParseReport(text), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no report")))
        << text;
  }
  EXPECT_TRUE(IsReady(*ParseReport("{\"ready\":true}\n")));
  EXPECT_FALSE(IsReady(*ParseReport("{\"ready\":false}")));
}

TEST(ReportTest, IsNotDeep) {
  const auto nested = [](std::size_t depth) {
    return "{\"ready\":true,\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_TRUE(ParseReport(nested(15)).ok());
  EXPECT_FALSE(ParseReport(nested(17)).ok());
  EXPECT_FALSE(ParseReport(nested(100'000)).ok());
}

TEST(ReportTest, HasMembersOfTheKindThatIsAskedForOrNone) {
  const Json json = *ParseReport(R"({"ready":true,"a":"x\u001b[2J","b":1.5,"c":{"d":1},"e":null})");
  EXPECT_EQ(TextOf(json, "a"), "x?[2J");
  EXPECT_EQ(TextOf(json, "b"), "");
  EXPECT_EQ(NumberOf(json, "b"), 1.5);
  EXPECT_EQ(NumberOf(json, "a"), std::nullopt);
  EXPECT_EQ(TruthOf(json, "b"), std::nullopt);
  EXPECT_EQ(NumberOf(MemberOf(json, "c"), "d"), 1);
  EXPECT_TRUE(MemberOf(json, "e").empty());
  EXPECT_TRUE(MemberOf(json, "nothing").empty());
  EXPECT_EQ(TextOf(MemberOf(json, "nothing"), "x"), "");
}

}  // namespace
}  // namespace okms::ctl
