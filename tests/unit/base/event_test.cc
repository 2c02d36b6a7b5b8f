// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace okms {
namespace {

using ::testing::ElementsAreArray;

std::vector<std::string> AllNames() {
  std::vector<std::string> names;
  for (int i = 0; i <= static_cast<int>(EventName::kDebug); ++i) {
    names.emplace_back(Name(static_cast<EventName>(i)));
  }
  return names;
}

// The first column of the table whose head is "Event".
std::vector<std::string> Documented() {
  std::ifstream page(OKMS_OPERATIONS_PAGE);
  const std::regex row("\\| `([^`]*)` \\|.*");
  std::vector<std::string> names;
  bool within = false;
  std::smatch match;
  for (std::string line; std::getline(page, line);) {
    if (line.empty()) within = false;
    if (within && std::regex_match(line, match, row)) names.push_back(match[1]);
    if (line == "| Event | When |") within = true;
  }
  return names;
}

TEST(EventName, NamesAreDistinctWords) {
  const std::vector<std::string> names = AllNames();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
  EXPECT_THAT(names, ::testing::Each(::testing::MatchesRegex("[a-z]+(-[a-z]+)*")));
}

TEST(EventName, TableOfThePageHasThemAllAndNoOther) {
  EXPECT_THAT(Documented(), ElementsAreArray(AllNames()));
}

TEST(Severity, NumbersAreThoseOfSyslog) {
  EXPECT_EQ(static_cast<int>(Severity::kError), 3);
  EXPECT_EQ(static_cast<int>(Severity::kDebug), 7);
}

}  // namespace
}  // namespace okms
