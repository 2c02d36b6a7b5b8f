// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "bench/options.h"

#include <gtest/gtest.h>

#include <chrono>

namespace okms::test {
namespace {

std::variant<Options, int> Parse(std::vector<std::string> words) {
  words.insert(words.begin(), {"okms-bench", "--sock", "/s"});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  return ParseOptions(static_cast<int>(argv.size()), argv.data());
}

bool IsWrong(const std::vector<std::string>& words) {
  const auto parsed = Parse(words);
  return std::holds_alternative<int>(parsed) && std::get<int>(parsed) == 2;
}

using Words = std::vector<std::string>;

TEST(OptionsTest, ASecondSeparatorBeginsTheOthersCommand) {
  const auto options = std::get<Options>(Parse({"--other", "/o", "--op", "start", "--", "/bin/a",
                                                "--sock", "/s", "--", "/bin/b", "--debug", "--"}));
  EXPECT_EQ(options.socket, "/s");
  EXPECT_EQ(options.command, (Words{"/bin/a", "--sock", "/s"}));
  EXPECT_EQ(options.other_command, (Words{"/bin/b", "--debug", "--"}));
}

TEST(OptionsTest, ACommandIsForStartAlone) {
  EXPECT_TRUE(IsWrong({"--op", "start"}));
  EXPECT_TRUE(IsWrong({"--op", "decrypt", "--", "/bin/a"}));
  EXPECT_TRUE(IsWrong({"--op", "start", "--", "/bin/a", "--", "/bin/b"}));
  EXPECT_TRUE(IsWrong({"--op", "start", "--other", "/o", "--", "/bin/a"}));
  EXPECT_FALSE(IsWrong({"--op", "start", "--", "/bin/a"}));
}

TEST(OptionsTest, SomeNeedOthers) {
  EXPECT_TRUE(IsWrong({"--markdown"}));
  EXPECT_TRUE(IsWrong({"--stop-kms"}));
  EXPECT_FALSE(IsWrong({"--markdown", "--other", "/o", "--stop-kms", "--kms", "1"}));
}

TEST(OptionsTest, TheTimeoutIsADuration) {
  EXPECT_EQ(std::get<Options>(Parse({"--timeout", "1500ms"})).timeout,
            std::chrono::milliseconds(1500));
  EXPECT_TRUE(IsWrong({"--timeout", "3"}));
  EXPECT_TRUE(IsWrong({"--timeout", "0s"}));
}

TEST(OptionsTest, SettingsAreWhatTheFiguresDependOn) {
  EXPECT_EQ(std::get<Options>(Parse({"--op", "cold", "--records", "9"})).Settings(),
            (nlohmann::json{{"operation", "cold"},
                            {"connections", 1},
                            {"records", 9},
                            {"in_flight", 9},
                            {"kms_stopped", false}}));
  EXPECT_EQ(std::get<Options>(Parse({"--clients", "4", "--beside", "2"})).Settings(),
            (nlohmann::json{{"operation", "decrypt"},
                            {"connections", 1},
                            {"clients", 4},
                            {"clients_beside", 2},
                            {"kms_stopped", false}}));
}

}  // namespace
}  // namespace okms::test
