// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace okms::doctor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Verdicts Good(Examination&) { return Passed("well"); }
Verdicts Bad(Examination&) { return Failed("broken", "mend it"); }
Verdicts Unseen(Examination&) { return Unknown("dark", ""); }
Verdicts Nothing(Examination&) { return {}; }
Verdicts GoodAtB(Examination&, Endpoint& endpoint) {
  return endpoint.name == "b" ? Passed("well") : Failed("broken", "");
}
Verdicts GoodAtEach(Examination&, Endpoint&) { return Passed("well"); }

// "id about outcome: line" of each.
std::vector<std::string> Lines(const std::vector<Finding>& findings) {
  std::vector<std::string> lines;
  for (const Finding& finding : findings) {
    lines.push_back(finding.id + " " + finding.about + " " +
                    std::string(ToString(finding.verdict.outcome)) + ": " + finding.verdict.line);
  }
  return lines;
}

TEST(RunChecks, SkipsWhatNeedsWhatFailedAndNamesTheFirstReason) {
  const std::vector<Check> checks{{.id = "a", .once = Bad},
                                  {.id = "b", .needs = {"a"}, .once = Good},
                                  {.id = "c", .needs = {"b"}, .once = Good},
                                  {.id = "d", .once = Good}};
  Examination all(Request{});
  const std::vector<Finding> findings = RunChecks(checks, all);
  EXPECT_THAT(Lines(findings), ElementsAre("a  failed: broken", "b  skipped: needs a, which failed",
                                           "c  skipped: needs a, which failed", "d  passed: well"));
  EXPECT_THAT(findings[0].blocks, ElementsAre("b", "c"));
  EXPECT_THAT(findings[1].blocks, IsEmpty());
}

TEST(RunChecks, WhatCouldNotBeSeenIsNoGroundToStandOn) {
  const std::vector<Check> checks{{.id = "a", .once = Unseen},
                                  {.id = "b", .needs = {"a"}, .once = Good}};
  Examination all(Request{});
  EXPECT_THAT(Lines(RunChecks(checks, all)),
              ElementsAre("a  unknown: dark", "b  skipped: needs a, which could not be seen"));
}

TEST(RunChecks, WhatIsNotAskedIsNotSpokenOfAndBlocksNothing) {
  const std::vector<Check> checks{
      {.id = "a", .asked = [](const Examination&) { return false; }, .once = Bad},
      {.id = "b", .once = Nothing},
      {.id = "c", .needs = {"a", "b"}, .once = Good}};
  Examination all(Request{});
  EXPECT_THAT(Lines(RunChecks(checks, all)), ElementsAre("c  passed: well"));
}

TEST(RunChecks, LooksAtEachHostApart) {
  const std::vector<Check> checks{{.id = "dial", .each = GoodAtB},
                                  {.id = "talk", .needs = {"dial"}, .each = GoodAtEach},
                                  {.id = "agree", .needs = {"talk"}, .once = Good}};
  Examination all(Request{});
  for (const char* const name : {"a", "b"}) all.endpoints.emplace_back().name = name;
  EXPECT_THAT(Lines(RunChecks(checks, all)),
              ElementsAre("dial a failed: broken", "talk a skipped: needs dial, which failed",
                          "dial b passed: well", "talk b passed: well",
                          "agree  skipped: needs dial of a, which failed"));
  all.endpoints[1].name = "c";
  // Each row once, at however many hosts it was skipped, in the order of the table.
  const std::vector<Check> blocked{{.id = "config", .once = Bad},
                                   {.id = "dial", .needs = {"config"}, .each = GoodAtB},
                                   {.id = "talk", .needs = {"dial"}, .each = GoodAtEach},
                                   {.id = "agree", .needs = {"talk"}, .once = Good}};
  EXPECT_THAT(RunChecks(blocked, all)[0].blocks, ElementsAre("dial", "talk", "agree"));
}

TEST(RunChecks, WithoutHostsWhatIsBlockedIsStillToBeSeen) {
  const std::vector<Check> checks{{.id = "config", .once = Bad},
                                  {.id = "dial", .needs = {"config"}, .each = GoodAtB}};
  Examination all(Request{});
  EXPECT_THAT(Lines(RunChecks(checks, all)),
              ElementsAre("config  failed: broken", "dial  skipped: needs config, which failed"));
}

TEST(AllChecks, EachStandsBelowWhatItNeeds) {
  std::set<absl::string_view> above;
  for (const Check& check : AllChecks()) {
    for (const absl::string_view need : check.needs) EXPECT_EQ(above.count(need), 1U) << check.id;
    EXPECT_TRUE(above.insert(check.id).second) << check.id << " is there twice";
    EXPECT_NE(check.once == nullptr, check.each == nullptr) << check.id;
  }
}

TEST(ExitCodeOf, SkippedIsNotPassedAndAWarningIsNoFailure) {
  const auto code = [](std::vector<Outcome> outcomes) {
    std::vector<Finding> findings;
    for (const Outcome outcome : outcomes) findings.push_back({"x", "", {outcome, "", ""}});
    return ExitCodeOf(findings);
  };
  EXPECT_EQ(code({Outcome::kPassed, Outcome::kWarning}), 0);
  EXPECT_EQ(code({Outcome::kPassed, Outcome::kSkipped}), 3);
  EXPECT_EQ(code({Outcome::kPassed, Outcome::kUnknown}), 3);
  EXPECT_EQ(code({Outcome::kUnknown, Outcome::kFailed}), 1);
  EXPECT_EQ(code({}), 3);
}

}  // namespace
}  // namespace okms::doctor
