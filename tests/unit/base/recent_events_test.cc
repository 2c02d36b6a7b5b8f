// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/recent_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace okms {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class RecentEventsTest : public ::testing::Test {
 protected:
  std::vector<std::string> Kept() const {
    std::vector<std::string> texts;
    for (const Event& event : recent_.Events()) texts.push_back(event.text);
    return texts;
  }

  RecentEvents recent_;
  std::vector<std::string> written_;
  const Logger log_{true, recent_.Before([this](const Event& e) { written_.push_back(e.text); })};
};

TEST_F(RecentEventsTest, AreChangesAndNoCalls) {
  log_.Info(EventName::kKeyAdopted, "adopted");
  log_.Warning(EventName::kCallFailed, "a call");
  log_.Debug("a step");
  log_.Warning(EventName::kHostOut, "out");
  EXPECT_THAT(Kept(), ElementsAre("adopted", "out"));
  EXPECT_THAT(written_, ElementsAre("adopted", "a call", "a step", "out"));
}

TEST_F(RecentEventsTest, AreTheLastOnes) {
  for (std::size_t i = 0; i < RecentEvents::kMost + 2; ++i) {
    log_.Notice(EventName::kReadyAgain, absl::StrCat(i));
  }
  ASSERT_THAT(Kept(), SizeIs(RecentEvents::kMost));
  EXPECT_EQ(Kept().front(), "2");
  EXPECT_EQ(Kept().back(), absl::StrCat(RecentEvents::kMost + 1));
}

}  // namespace
}  // namespace okms
