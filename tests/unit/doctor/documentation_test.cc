// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The table of findings in the documentation is the table of checks.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "doctor/checks.h"

namespace okms::doctor {
namespace {

TEST(Documentation, NamesEachCheckOnce) {
  std::ifstream file(OKMS_OPERATIONS);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  const std::size_t begin = all.find("| Finding |");
  ASSERT_NE(begin, std::string::npos);
  const std::string table = all.substr(begin, all.find("\n\n", begin) - begin);
  std::size_t named = 0;
  for (const Check& check : AllChecks()) {
    EXPECT_THAT(table, testing::HasSubstr(absl::StrCat("`", check.id, "`")));
    ++named;
  }
  // Of each line, what stands in its first column.
  std::size_t found = 0;
  for (std::size_t line = table.find("\n| `"); line != std::string::npos;
       line = table.find("\n| `", line + 1)) {
    const std::string column = table.substr(line + 3, table.find(" |", line + 3) - line - 3);
    found += static_cast<std::size_t>(std::count(column.begin(), column.end(), '`')) / 2;
  }
  EXPECT_EQ(found, named);
}

}  // namespace
}  // namespace okms::doctor
