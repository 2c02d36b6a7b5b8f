// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/debug.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace okms {
namespace {

using ::testing::ElementsAre;
using ::testing::MatchesRegex;

class DebugTest : public ::testing::Test {
 protected:
  Logger To(bool debug) {
    return Logger(debug, [this](const Event& event) {
      EXPECT_EQ(event.severity, Severity::kDebug);
      lines_.push_back(event.text);
    });
  }
  std::vector<std::string> lines_;
};

TEST_F(DebugTest, EventsGoToTheLogOfTheMoment) {
  const Logger log = To(true);
  Debug([]() -> std::string { return "before"; });
  {
    const DebugTo debug(log);
    Debug([]() -> std::string { return "now"; });
  }
  Debug([]() -> std::string { return "after"; });
  EXPECT_THAT(lines_, ElementsAre("now"));
}

TEST_F(DebugTest, WithoutDebugNoLineIsEvenMade) {
  const Logger log = To(false);
  const DebugTo debug(log);
  Debug([]() -> std::string {
    ADD_FAILURE() << "it was made";
    return "";
  });
}

TEST_F(DebugTest, AStopwatchSaysHowLong) {
  const Logger log = To(true);
  const DebugTo debug(log);
  EXPECT_THAT(Stopwatch().Text(), MatchesRegex("[0-9]+ ms"));
}

}  // namespace
}  // namespace okms
