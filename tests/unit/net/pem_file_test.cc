// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/pem_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "base/unique_fd.h"
#include "support/status_is.h"
#include "support/temp_dir.h"

namespace okms {
namespace {

using test::IsOk;
using test::StatusIs;

constexpr std::size_t kMiB = 1 << 20U;

class PemFileTest : public ::testing::Test {
 protected:
  NamedFile Write(const std::string& content) const {
    std::ofstream(path_) << content;
    return File();
  }
  NamedFile File() const { return {"--ca", path_}; }
  static auto Refused(const NamedFile& file, const std::string& why) {
    return StatusIs(absl::StatusCode::kFailedPrecondition,
                    absl::StrCat(file.option, " ", file.path, ": ", why));
  }

  const test::TempDir directory_;
  const std::string path_ = directory_ / "file.pem";
};

TEST_F(PemFileTest, GivesWhatIsInIt) {
  for (const std::string& content : {std::string(), std::string("a\0b\n", 4),
                                     std::string("missing\n"), std::string(kMiB, 'x')}) {
    const auto read = ReadPemFile(Write(content));
    ASSERT_THAT(read, IsOk()) << content.size();
    EXPECT_TRUE(read->text() == content) << content.size();
  }
}

TEST_F(PemFileTest, OfMoreThanOneMiBIsRefused) {
  const NamedFile file = Write(std::string(kMiB + 1, 'x'));
  EXPECT_THAT(ReadPemFile(file), Refused(file, "is larger than 1 MiB; name the PEM file"));
  ASSERT_EQ(::truncate(path_.c_str(), off_t{1} << 40U), 0);
  EXPECT_THAT(ReadPemFile(file), Refused(file, "is larger than 1 MiB; name the PEM file"));
}

TEST_F(PemFileTest, WhatIsNoFileIsSaidToBeThat) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(ReadPemFile(File()), Refused(File(), "is a FIFO; name the PEM file"));
  const std::string link = directory_ / "link.pem";
  ASSERT_EQ(::symlink(path_.c_str(), link.c_str()), 0);
  const NamedFile linked{"--ca", link};
  EXPECT_THAT(ReadPemFile(linked), Refused(linked, "is a FIFO; name the PEM file"));

  const NamedFile directory{"--ca", directory_.path()};
  EXPECT_THAT(ReadPemFile(directory), Refused(directory, "is a directory; name the PEM file"));
  for (const char* const path : {"/dev/null", "/dev/zero"}) {
    const NamedFile device{"--ca", path};
    EXPECT_THAT(ReadPemFile(device), Refused(device, "is a device; name the PEM file"));
  }
}

TEST_F(PemFileTest, ASocketIsSaidToBeThat) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path_.size(), sizeof address.sun_path);
  path_.copy(address.sun_path, path_.size());
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(ReadPemFile(File()), Refused(File(), "is a socket; name the PEM file"));
}

TEST_F(PemFileTest, WhoMayReadItIsOfTheFileThatWasRead) {
  const NamedFile file = Write("x");
  for (const bool all : {true, false}) {
    ASSERT_EQ(::chmod(path_.c_str(), all ? 0644 : 0640), 0);
    EXPECT_EQ(ReadPemFile(file)->all_can_read, all);
  }
}

// Longer than it says: as one that grows meanwhile.
TEST_F(PemFileTest, WithMoreInItThanItsLengthIsRefused) {
  const NamedFile grown{"--ca", "/proc/self/status"};
  EXPECT_THAT(ReadPemFile(grown), Refused(grown, "is being written; it has to be read again"));
}

// Its length stays the same. Another thread marks it as written all the time: sooner or later that
// falls into a read.
TEST_F(PemFileTest, ThatIsBeingWrittenIsRefused) {
  const NamedFile file = Write(std::string(kMiB, 'x'));
  std::atomic<bool> end = false;
  std::thread writer([&] {
    const UniqueFd fd(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
    for (time_t second = 1; !end; ++second) {
      const std::array<timespec, 2> times{timespec{second, 0}, timespec{second, 0}};
      ::futimens(fd.get(), times.data());
    }
  });
  absl::Status status;
  const Deadline until = Clock::now() + std::chrono::seconds(60);
  while (status.ok() && !Expired(until)) status = ReadPemFile(file).status();
  end = true;
  writer.join();
  EXPECT_THAT(status, Refused(file, "is being written; it has to be read again"));
  EXPECT_THAT(ReadPemFile(file), IsOk());
}

}  // namespace
}  // namespace okms
