// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/read_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <string>

#include "base/secret.h"
#include "support/temp_dir.h"

namespace okms {
namespace {

TEST(ReadFile, TakesAsMuchAsThereIsAndRoomFor) {
  const test::TempDir dir;
  std::ofstream(dir / "file") << "12345";
  const UniqueFd fd = OpenToRead(dir / "file");
  ASSERT_TRUE(fd);
  EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  std::array<uint8_t, 3> bytes{};
  EXPECT_EQ(ReadInto(fd.get(), bytes), 3);
  EXPECT_EQ(AsText(bytes), "123");
  EXPECT_EQ(ReadInto(fd.get(), bytes), 2);
  EXPECT_EQ(AsText(ByteView(bytes).first(2)), "45");
  EXPECT_EQ(ReadInto(fd.get(), bytes), 0);
}

TEST(ReadFile, WaitsForNobodyWhoWrites) {
  const test::TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  const UniqueFd fd = OpenToRead(dir / "fifo");
  ASSERT_TRUE(fd);
  std::array<uint8_t, 1> byte{};
  EXPECT_EQ(ReadInto(fd.get(), byte), 0);
}

TEST(ReadFile, TellsWhyNot) {
  const test::TempDir dir;
  EXPECT_FALSE(OpenToRead(dir / "none"));
  EXPECT_EQ(errno, ENOENT);
  const UniqueFd folder = OpenToRead(dir.path());
  std::array<uint8_t, 1> byte{};
  EXPECT_EQ(ReadInto(folder.get(), byte), -1);
  EXPECT_EQ(errno, EISDIR);
}

}  // namespace
}  // namespace okms
