// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "unit/environment.h"

namespace okms {
namespace {

using test::ScopedVariable;
using ::testing::ElementsAre;
using ::testing::Pair;

using Lines = std::vector<std::pair<Severity, std::string>>;

Logger::Sink Into(Lines& lines) {
  return [&lines](Severity severity, absl::string_view line) {
    lines.emplace_back(severity, std::string(line));
  };
}

void LogOneOfEach(const Logger& log) {
  log.Error("e");
  log.Warning("w");
  log.Notice("n");
  log.Info("i");
  log.Debug("d");
}

TEST(Logger, HandsLinesToItsSink) {
  Lines lines;
  LogOneOfEach(Logger(true, Into(lines)));
  EXPECT_THAT(lines, ElementsAre(Pair(Severity::kError, "e"), Pair(Severity::kWarning, "w"),
                                 Pair(Severity::kNotice, "n"), Pair(Severity::kInfo, "i"),
                                 Pair(Severity::kDebug, "d")));
}

TEST(Logger, LeavesDebugLinesOutUnlessAsked) {
  Lines lines;
  LogOneOfEach(Logger(false, Into(lines)));
  EXPECT_THAT(lines, ElementsAre(Pair(Severity::kError, "e"), Pair(Severity::kWarning, "w"),
                                 Pair(Severity::kNotice, "n"), Pair(Severity::kInfo, "i")));
}

TEST(Logger, WritesWordsToATerminal) {
  const ScopedVariable variable("JOURNAL_STREAM", std::nullopt);
  ::testing::internal::CaptureStderr();
  LogOneOfEach(Logger(true));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "error: e\nwarning: w\nnotice: n\ninfo: i\ndebug: d\n");
}

TEST(Logger, WritesSyslogNumbersToTheJournal) {
  const ScopedVariable variable("JOURNAL_STREAM", "8:12345");
  ::testing::internal::CaptureStderr();
  LogOneOfEach(Logger(true));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "<3>e\n<4>w\n<5>n\n<6>i\n<7>d\n");
}

TEST(Logger, WritesOneLineWhateverIsInIt) {
  for (const auto* const journal : {"", "8:12345"}) {
    const ScopedVariable variable(
        "JOURNAL_STREAM", *journal != '\0' ? std::optional<std::string>(journal) : std::nullopt);
    ::testing::internal::CaptureStderr();
    Logger(false).Error("/tmp/a\nready\x1b[2J.pem \xFF");
    EXPECT_EQ(::testing::internal::GetCapturedStderr(),
              *journal != '\0' ? "<3>/tmp/a?ready?[2J.pem ?\n" : "error: /tmp/a?ready?[2J.pem ?\n");
  }
}

TEST(Severity, NumbersAreThoseOfSyslog) {
  EXPECT_EQ(static_cast<int>(Severity::kError), 3);
  EXPECT_EQ(static_cast<int>(Severity::kDebug), 7);
}

}  // namespace
}  // namespace okms
