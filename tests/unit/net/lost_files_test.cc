// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/lost_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "support/temp_dir.h"

namespace okms {
namespace {

constexpr uid_t kSomebody = 47000;

class LostFilesTest : public ::testing::Test {
 protected:
  LostFilesTest() {
    ::chmod(directory_.path().c_str(), 0755);
    Write(first_);
    Write(second_);
  }

  void Become(uid_t user) const {
    if (root_) {
      EXPECT_EQ(::seteuid(user), 0);
    }
  }
  // A mode that root would not heed.
  template <typename Act>
  auto AsSomebody(Act act) {
    Become(kSomebody);
    auto result = act();
    Become(0);
    return result;
  }
  LostFiles Made() {
    return AsSomebody([&] { return LostFiles({first_, second_, hidden_}); });
  }
  std::string Look(LostFiles& files) {
    return AsSomebody([&] { return files.Look(); });
  }
  static void Write(const std::string& path) { std::ofstream(path) << "text"; }
  static void Forbid(const std::string& path) { ASSERT_EQ(::chmod(path.c_str(), 0), 0); }

  test::TempDir directory_;
  const std::string first_ = directory_ / "first";
  const std::string second_ = directory_ / "second";
  const std::string hidden_ = directory_ / "hidden";
  const bool root_ = ::geteuid() == 0;
};

TEST_F(LostFilesTest, NoneIsLost) {
  LostFiles files = Made();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Look(files), "");
}

TEST_F(LostFilesTest, IsLostWhenForbiddenTwice) {
  LostFiles files = Made();
  Forbid(second_);
  EXPECT_EQ(Look(files), "");
  EXPECT_EQ(Look(files), second_);
}

TEST_F(LostFilesTest, IsNotWhenItCanBeReadInBetween) {
  LostFiles files = Made();
  Forbid(first_);
  EXPECT_EQ(Look(files), "");
  ASSERT_EQ(::chmod(first_.c_str(), 0644), 0);
  EXPECT_EQ(Look(files), "");
  Forbid(first_);
  EXPECT_EQ(Look(files), "");
}

TEST_F(LostFilesTest, OneThatGoesIsNotLost) {
  LostFiles files = Made();
  std::filesystem::remove(first_);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Look(files), "");
}

TEST_F(LostFilesTest, OneThatComesForbiddenIs) {
  std::filesystem::remove(first_);
  LostFiles files = Made();
  EXPECT_EQ(Look(files), "");
  Write(first_);
  Forbid(first_);
  EXPECT_EQ(Look(files), "");
  EXPECT_EQ(Look(files), first_);
}

TEST_F(LostFilesTest, OneThatWasForbiddenFromTheStartIsNot) {
  Write(hidden_);
  Forbid(hidden_);
  LostFiles files = Made();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Look(files), "");
}

}  // namespace
}  // namespace okms
