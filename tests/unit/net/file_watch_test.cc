// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/file_watch.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "support/temp_dir.h"

namespace okms {
namespace {

namespace fs = std::filesystem;

void Write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

class FileWatchTest : public ::testing::Test {
 protected:
  FileWatchTest() {
    fs::create_directory(directory_ / "certs");
    Write(file_, "first");
  }
  // Once, and then no more.
  static ::testing::AssertionResult SaysOnce(FileWatch& watch) {
    if (!watch.Changed()) return ::testing::AssertionFailure() << "no change was seen";
    if (watch.Changed()) return ::testing::AssertionFailure() << "the change is seen for ever";
    return ::testing::AssertionSuccess();
  }

  const test::TempDir directory_;
  const std::string file_ = directory_ / "certs/client.pem";
};

TEST_F(FileWatchTest, NothingChangesByItself) {
  FileWatch watch({file_, directory_ / "none", ""});
  EXPECT_FALSE(watch.Changed());
  EXPECT_FALSE(watch.Changed());
}

TEST_F(FileWatchTest, WrittenInPlace) {
  FileWatch watch({file_});
  Write(file_, "longer than before");
  EXPECT_TRUE(SaysOnce(watch));
}

// cp --preserve: same file, same size, same time of modification.
TEST_F(FileWatchTest, WrittenInPlaceWithItsTimeSetBack) {
  const auto time = fs::last_write_time(file_);
  FileWatch watch({file_});
  Write(file_, "other");
  fs::last_write_time(file_, time);
  EXPECT_TRUE(SaysOnce(watch));
}

TEST_F(FileWatchTest, Replaced) {
  FileWatch watch({directory_ / "none", file_});
  Write(directory_ / "certs/new", "other");
  EXPECT_FALSE(watch.Changed()) << "another file in its directory";
  fs::rename(directory_ / "certs/new", file_);
  EXPECT_TRUE(SaysOnce(watch));
}

TEST_F(FileWatchTest, GoneAndThereAgain) {
  FileWatch watch({file_});
  fs::rename(file_, directory_ / "elsewhere");
  EXPECT_TRUE(SaysOnce(watch));
  fs::rename(directory_ / "elsewhere", file_);
  EXPECT_TRUE(SaysOnce(watch));
}

// What could not be read may be readable now.
TEST_F(FileWatchTest, AnotherMode) {
  ASSERT_EQ(::chmod(file_.c_str(), 0600), 0);
  FileWatch watch({file_});
  ASSERT_EQ(::chmod(file_.c_str(), 0640), 0);
  EXPECT_TRUE(SaysOnce(watch));
}

// As Kubernetes and cert-manager do it: the links of the files stay as they are.
TEST_F(FileWatchTest, ALinkOnTheWaySwings) {
  const auto generation = [this](const std::string& name) {
    fs::create_directory(directory_ / name);
    Write(directory_ / (name + "/tls.crt"), "same");
  };
  generation("..2026_1");
  fs::create_symlink("..2026_1", directory_ / "..data");
  fs::create_symlink("..data/tls.crt", directory_ / "tls.crt");
  FileWatch watch({directory_ / "tls.crt"});
  generation("..2026_2");
  EXPECT_FALSE(watch.Changed());
  fs::create_symlink("..2026_2", directory_ / "..data_tmp");
  fs::rename(directory_ / "..data_tmp", directory_ / "..data");
  EXPECT_TRUE(SaysOnce(watch));
  fs::remove_all(directory_ / "..2026_1");
  EXPECT_FALSE(watch.Changed());
}

TEST_F(FileWatchTest, ItsOwnLinkLeadsElsewhere) {
  fs::create_symlink(file_, directory_ / "link");
  FileWatch watch({directory_ / "link"});
  fs::remove(directory_ / "link");
  fs::create_symlink(directory_ / "certs/../certs/client.pem", directory_ / "link");
  EXPECT_TRUE(SaysOnce(watch)) << "to the same file by another way";
}

// As systemd does it with credentials: the files may be the same ones, by number and time.
TEST_F(FileWatchTest, AnotherDirectoryInItsPlace) {
  FileWatch watch({file_});
  fs::create_directory(directory_ / "new");
  fs::create_hard_link(file_, directory_ / "new/client.pem");
  watch.Changed();  // the number of its links
  fs::rename(directory_ / "certs", directory_ / "old");
  fs::rename(directory_ / "new", directory_ / "certs");
  EXPECT_TRUE(SaysOnce(watch));
}

}  // namespace
}  // namespace okms
