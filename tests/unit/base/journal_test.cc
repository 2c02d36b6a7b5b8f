// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/journal.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/unix_address.h"
#include "support/temp_dir.h"
#include "unit/environment.h"

namespace okms {
namespace {

using test::ScopedVariable;

Event Failed(std::string text) {
  return {Severity::kWarning, EventName::kCallFailed, std::move(text), "sha256:ab", "u-1"};
}

std::string Fields() {
  return absl::StrCat(
      "PRIORITY=4\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=", ::program_invocation_short_name, "\n");
}

TEST(JournalEntry, HasWhatTheEventHas) {
  EXPECT_EQ(JournalEntry(Failed("why")),
            Fields() + "MESSAGE=why\nOKMS_EVENT=call-failed\nKEY_ID_HASH=sha256:ab\nUID=u-1\n");
  EXPECT_EQ(JournalEntry({Severity::kWarning, EventName::kHostOut, "why"}),
            Fields() + "MESSAGE=why\nOKMS_EVENT=host-out\n");
}

// A line's end would begin another field.
TEST(JournalEntry, TextMakesNoField) {
  Event event = Failed("why\nPRIORITY=0");
  event.uid = "u\n_PID=1";
  EXPECT_EQ(JournalEntry(event), Fields() +
                                     "MESSAGE=why?PRIORITY=0\nOKMS_EVENT=call-failed\n"
                                     "KEY_ID_HASH=sha256:ab\nUID=u?_PID=1\n");
}

TEST(IsJournal, OnlyTheStreamThatTheVariableNames) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  struct stat file {};
  ASSERT_EQ(::fstat(writer.get(), &file), 0);
  const std::string stream = absl::StrCat(file.st_dev, ":", file.st_ino);
  {
    const ScopedVariable variable("JOURNAL_STREAM", stream);
    EXPECT_TRUE(IsJournal(writer.get()));
    EXPECT_FALSE(IsJournal(STDIN_FILENO));
    EXPECT_FALSE(IsJournal(-1));
  }
  for (const auto& other : {std::optional<std::string>(), {""}, {"8:1"}, {stream + "1"}}) {
    const ScopedVariable variable("JOURNAL_STREAM", other);
    EXPECT_FALSE(IsJournal(writer.get()));
  }
}

class JournalTest : public ::testing::Test {
 protected:
  // What the journal has got, up to now; empty: nothing.
  std::string Received() const {
    std::string entry(4096, '\0');
    const ssize_t size = ::recv(journal_.get(), entry.data(), entry.size(), MSG_DONTWAIT);
    entry.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return entry;
  }
  void Listen() {
    const auto address = UnixAddress::Of(path_);
    journal_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(journal_.get(), address->get(), address->size()), 0);
  }

  const test::TempDir dir_;
  const std::string path_ = dir_.path() + "/socket";
  UniqueFd journal_;
};

TEST_F(JournalTest, IsNotThereWhereNobodyListens) {
  EXPECT_EQ(Journal::Connect(path_), nullptr);
  EXPECT_EQ(Journal::Connect(std::string(200, 'x')), nullptr);
  Listen();
  EXPECT_NE(Journal::Connect(path_), nullptr);
}

TEST_F(JournalTest, GetsEachEventAsADatagram) {
  Listen();
  const auto journal = Journal::Connect(path_);
  ASSERT_NE(journal, nullptr);
  EXPECT_TRUE(journal->Send(Failed("first")));
  EXPECT_TRUE(journal->Send(Failed("second")));
  EXPECT_EQ(Received(), JournalEntry(Failed("first")));
  EXPECT_EQ(Received(), JournalEntry(Failed("second")));
  EXPECT_EQ(Received(), "");
}

TEST_F(JournalTest, BusyOneKeepsNobodyWaiting) {
  Listen();
  const auto journal = Journal::Connect(path_);
  ASSERT_NE(journal, nullptr);
  int taken = 0;
  while (journal->Send(Failed("more"))) ++taken;
  EXPECT_GT(taken, 0);
  EXPECT_NE(Received(), "");
  EXPECT_TRUE(journal->Send(Failed("there is room")));
}

TEST_F(JournalTest, DoesNotHaveWhatIsTooLargeOrCameAfterItsEnd) {
  Listen();
  const auto journal = Journal::Connect(path_);
  ASSERT_NE(journal, nullptr);
  EXPECT_FALSE(journal->Send(Failed(std::string(16 << 20, 'x'))));
  EXPECT_TRUE(journal->Send(Failed("of usual size")));
  journal_.reset();
  EXPECT_FALSE(journal->Send(Failed("too late")));
}

}  // namespace
}  // namespace okms
