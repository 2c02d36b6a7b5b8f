// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/watchdog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class WatchdogTest : public ::testing::Test {
 protected:
  std::vector<std::string> log_;
  const Logger logger_{
      true, [this](const Event& event) {
        log_.push_back(absl::StrCat(static_cast<int>(event.severity), " ", event.text));
      }};
  int alive_ = 0;
  Deadline calls_ = Deadline::max();
  Deadline checks_ = Deadline::max();
  Watchdog watchdog_{
      {{"a call", [this] { return calls_; }}, {"a check", [this] { return checks_; }}},
      5s,
      logger_,
      [this] { ++alive_; }};
};

TEST_F(WatchdogTest, ReportsWhileThereIsNothingToDo) {
  watchdog_.Tick();
  watchdog_.Tick();
  EXPECT_EQ(alive_, 2);
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(WatchdogTest, ReportsWhileWorkIsUnderWayAndALittleLate) {
  calls_ = Clock::now() + 1h;
  checks_ = Clock::now() - 4s;
  watchdog_.Tick();
  EXPECT_EQ(alive_, 1);
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(WatchdogTest, StopsWhenWorkIsOverdueAndSaysOnceWhat) {
  calls_ = Clock::now() - 7500ms;
  watchdog_.Tick();
  watchdog_.Tick();
  EXPECT_EQ(alive_, 0);
  EXPECT_THAT(log_, ElementsAre("3 watchdog: stuck, to be restarted: a call (7 s overdue)"));
}

TEST_F(WatchdogTest, AnyWorkCounts) {
  checks_ = Clock::now() - 60500ms;
  watchdog_.Tick();
  EXPECT_EQ(alive_, 0);
  EXPECT_THAT(log_, ElementsAre("3 watchdog: stuck, to be restarted: a check (60 s overdue)"));
}

TEST_F(WatchdogTest, BeginsAgainWhenTheWorkIsDone) {
  calls_ = Clock::now() - 7s;
  watchdog_.Tick();
  log_.clear();
  calls_ = Deadline::max();
  watchdog_.Tick();
  watchdog_.Tick();
  EXPECT_EQ(alive_, 2);
  EXPECT_THAT(log_, ElementsAre("5 watchdog: all work gets done again"));
}

TEST(WatchdogIntervalTest, IsHalfOfWhatSystemdWaitsFor) {
  ::setenv("WATCHDOG_PID", absl::StrCat(::getpid()).c_str(), 1);
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  EXPECT_EQ(Watchdog::Interval(), 15s);
  ::setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(Watchdog::Interval(), std::nullopt) << "it is another process's";
  ::unsetenv("WATCHDOG_PID");
  ::unsetenv("WATCHDOG_USEC");
  EXPECT_EQ(Watchdog::Interval(), std::nullopt);
}

}  // namespace
}  // namespace okms
