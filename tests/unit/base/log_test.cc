// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "unit/environment.h"

namespace okms {
namespace {

using test::ScopedVariable;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::Pair;
using ::testing::StartsWith;

using Lines = std::vector<std::pair<Severity, std::string>>;

Logger::Sink Into(Lines& lines) {
  return [&lines](const Event& event) { lines.emplace_back(event.severity, event.text); };
}

void LogOneOfEach(const Logger& log) {
  log.Error(EventName::kEnded, "e");
  log.Warning(EventName::kHostOut, "w");
  log.Notice(EventName::kHostBack, "n");
  log.Info(EventName::kStarted, "i");
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

// What the plugin is told where systemd has made standard error a stream to the journal.
std::string StreamOfStandardError() {
  struct stat file {};
  EXPECT_EQ(::fstat(STDERR_FILENO, &file), 0);
  return absl::StrCat(file.st_dev, ":", file.st_ino);
}

TEST(Logger, WritesSyslogNumbersToTheStreamOfTheJournal) {
  ::testing::internal::CaptureStderr();
  const ScopedVariable variable("JOURNAL_STREAM", StreamOfStandardError());
  LogOneOfEach(Logger(true, StandardError(LogFormat::kText)));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "<3>e\n<4>w\n<5>n\n<6>i\n<7>d\n");
}

TEST(Logger, WritesJson) {
  ::testing::internal::CaptureStderr();
  LogOneOfEach(Logger(false, StandardError(LogFormat::kJson)));
  const std::vector<std::string> lines =
      absl::StrSplit(::testing::internal::GetCapturedStderr(), '\n');
  const auto line = [](absl::string_view words) {
    return AllOf(StartsWith("{\"time\":\""), EndsWith(words));
  };
  EXPECT_THAT(lines,
              ElementsAre(line(R"("severity":"error","event":"ended","message":"e"})"),
                          line(R"("severity":"warning","event":"host-out","message":"w"})"),
                          line(R"("severity":"notice","event":"host-back","message":"n"})"),
                          line(R"("severity":"info","event":"started","message":"i"})"), ""));
}

TEST(Logger, WritesOneLineWhateverIsInIt) {
  for (const bool journal : {false, true}) {
    ::testing::internal::CaptureStderr();
    const ScopedVariable variable(
        "JOURNAL_STREAM",
        journal ? std::optional<std::string>(StreamOfStandardError()) : std::nullopt);
    Logger(false, StandardError(LogFormat::kText))
        .Error(EventName::kEnded, "/tmp/a\nready\x1b[2J.pem \xFF");
    EXPECT_EQ(::testing::internal::GetCapturedStderr(),
              journal ? "<3>/tmp/a?ready?[2J.pem ?\n" : "error: /tmp/a?ready?[2J.pem ?\n");
  }
}

}  // namespace
}  // namespace okms
