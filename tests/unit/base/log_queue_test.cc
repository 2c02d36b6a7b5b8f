// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/log_queue.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/unique_fd.h"

namespace okms {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::Lt;

// A log that is written to a pipe.
class LogQueueTest : public ::testing::Test {
 protected:
  LogQueueTest() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    reader_ = UniqueFd(ends[0]);
    auto writer = std::make_shared<UniqueFd>(ends[1]);
    writer_ = writer->get();
    queue_ = std::make_unique<LogQueue>([writer](const Event& event) {
      const std::string text = absl::StrCat(event.text, "\n");
      if (::write(writer->get(), text.data(), text.size()) < 0) std::abort();
    });
    log_ = std::make_unique<Logger>(false, queue_->sink());
  }

  // Now whoever writes another byte has to wait.
  void FillPipe() {
    ASSERT_EQ(::fcntl(writer_, F_SETFL, O_NONBLOCK), 0);
    while (::write(writer_, "\n", 1) == 1) {
    }
    ASSERT_EQ(::fcntl(writer_, F_SETFL, 0), 0);
  }
  // More than the queue holds; how many lines they are.
  std::size_t LogTooMuch() {
    constexpr std::size_t kLines = 4096;
    for (std::size_t i = 0; i < kLines; ++i) {
      log_->Info(EventName::kStarted, absl::StrCat("line ", i, std::string(60, '.')));
    }
    return kLines;
  }
  // All lines until the end of the log.
  std::vector<std::string> ReadAll() {
    std::string text;
    char buffer[4096];
    for (ssize_t size = 1; size > 0;) {
      size = ::read(reader_.get(), buffer, sizeof buffer);
      if (size > 0) text.append(buffer, static_cast<std::size_t>(size));
    }
    std::vector<std::string> lines = absl::StrSplit(text, '\n');
    lines.pop_back();
    return lines;
  }
  // Reads up to a line with `part` in it.
  std::string ReadUntil(const std::string& part) {
    std::string line;
    char c = 0;
    while (::read(reader_.get(), &c, 1) == 1) {
      if (c != '\n') {
        line += c;
      } else if (line.find(part) != std::string::npos) {
        return line;
      } else {
        line.clear();
      }
    }
    return "";
  }

  UniqueFd reader_;
  int writer_ = -1;
  std::unique_ptr<LogQueue> queue_;
  std::unique_ptr<Logger> log_;
};

TEST_F(LogQueueTest, WritesAtOnceBeforeItIsStarted) {
  log_->Info(EventName::kStarted, "first");
  char buffer[100];
  EXPECT_EQ(::fcntl(reader_.get(), F_SETFL, O_NONBLOCK), 0);
  EXPECT_EQ(::read(reader_.get(), buffer, sizeof buffer), 6);
}

TEST_F(LogQueueTest, KeepsTheOrderAndWritesAllBeforeItEnds) {
  log_->Info(EventName::kStarted, "before");
  queue_->Start();
  std::vector<std::string> expected = {"before"};
  for (int i = 0; i < 100; ++i) {
    expected.push_back(absl::StrCat("line ", i));
    log_->Info(EventName::kStarted, expected.back());
  }
  queue_.reset();
  EXPECT_EQ(ReadAll(), expected);
}

TEST_F(LogQueueTest, NobodyWaitsForAReaderAndItsMemoryIsBounded) {
  FillPipe();
  queue_->Start();
  const std::size_t lines = LogTooMuch();  // does not block
  const std::string notice = ReadUntil("left out");
  std::size_t left_out = 0;
  ASSERT_EQ(std::sscanf(notice.c_str(), "%zu lines left out here: the log was not read in time",
                        &left_out),
            1)
      << notice;
  constexpr std::size_t kLineSize = 66;
  EXPECT_THAT(left_out, AllOf(Gt(lines - LogQueue::kCapacity / kLineSize), Lt(lines)));
  EXPECT_EQ(queue_->LeftOut(), left_out);
}

TEST_F(LogQueueTest, CountIsWrittenWhereTheLinesWereLeftOut) {
  FillPipe();
  queue_->Start();
  LogTooMuch();
  EXPECT_NE(ReadUntil("left out here"), "");
  log_->Info(EventName::kStarted, "the reader is back");
  queue_.reset();
  EXPECT_THAT(ReadAll(), ElementsAre("the reader is back"));
}

TEST_F(LogQueueTest, LinesOfDebugLeaveRoomForOthers) {
  FillPipe();
  queue_->Start();
  const Logger debug(true, queue_->sink());
  for (int i = 0; i < 4096; ++i) debug.Debug(std::string(60, '.'));
  for (int i = 0; i < 100; ++i) log_->Error(EventName::kEnded, absl::StrCat("error ", i));
  EXPECT_NE(ReadUntil("left out here"), "");
  for (int i = 0; i < 100; ++i) EXPECT_NE(ReadUntil(absl::StrCat("error ", i)), "");
}

TEST_F(LogQueueTest, EndsThoughNobodyReads) {
  FillPipe();
  queue_->Start();
  LogTooMuch();
  queue_.reset();
  EXPECT_NE(ReadUntil("line 0"), "");
  ReadAll();  // and now the thread ends, too
}

}  // namespace
}  // namespace okms
