// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/as_user.h"

#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "base/unix_address.h"
#include "support/status_is.h"
#include "support/temp_dir.h"

namespace okms::doctor {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::Contains;

constexpr uid_t kUser = 64001;
constexpr gid_t kGroup = 64002;
constexpr gid_t kOther = 64003;

TEST(FindUser, HasAllGroupsThatThereAre) {
  const auto root = FindUser("root");
  ASSERT_THAT(root, IsOk());
  EXPECT_EQ(root->uid, 0U);
  EXPECT_THAT(root->groups, Contains(0U));
  EXPECT_EQ(FindUser("0")->name, "root");
  const auto numbers = FindUser("64001:64002");
  ASSERT_THAT(numbers, IsOk());
  EXPECT_EQ(numbers->uid, kUser);
  EXPECT_THAT(numbers->groups, testing::ElementsAre(kGroup));
  for (const char* const wrong : {"", "no-such-user", "64001", "root:root", "1:2:3", ":"}) {
    EXPECT_THAT(FindUser(wrong), StatusIs(absl::StatusCode::kNotFound, testing::_)) << wrong;
  }
}

class ConnectAsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
    const UnixAddress address = UnixAddress::Of(path_).value();
    ASSERT_EQ(::bind(listener_.get(), address.get(), address.size()), 0);
    ASSERT_EQ(::listen(listener_.get(), 8), 0);
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
    ASSERT_EQ(::chown(path_.c_str(), 0, kOther), 0);
    ASSERT_EQ(::chmod(path_.c_str(), 0660), 0);
  }

  const test::TempDir directory_;
  const std::string path_ = directory_ / "socket";
  const UniqueFd listener_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
};

TEST_F(ConnectAsTest, IsThatUserWithAllGroupsAndNoOthers) {
  EXPECT_THAT(ConnectAs({"user", kUser, kGroup, {kGroup}}, path_),
              StatusIs(absl::StatusCode::kUnavailable, "connect: Permission denied"));
  const auto connection = ConnectAs({"user", kUser, kGroup, {kGroup, kOther}}, path_);
  ASSERT_THAT(connection, IsOk());
  const UniqueFd accepted(::accept(listener_.get(), nullptr, nullptr));
  ucred peer{};
  socklen_t size = sizeof peer;
  ASSERT_EQ(::getsockopt(accepted.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size), 0);
  EXPECT_EQ(peer.uid, kUser);
  EXPECT_EQ(peer.gid, kGroup);
  EXPECT_EQ(::geteuid(), 0U);  // we are who we were
}

TEST_F(ConnectAsTest, RootsOwnGroupsAreNotLeft) {
  const gid_t before[] = {kOther};
  ASSERT_EQ(::setgroups(1, before), 0);
  EXPECT_THAT(ConnectAs({"user", kUser, kGroup, {kGroup}}, path_),
              StatusIs(absl::StatusCode::kUnavailable, "connect: Permission denied"));
  ASSERT_EQ(::setgroups(0, nullptr), 0);
}

TEST_F(ConnectAsTest, TellsWhatAUserCanReadAndWhichFolderIsClosed) {
  const User user{"user", kUser, kGroup, {kGroup}};
  EXPECT_THAT(CanRead(user, "/etc/passwd"), IsOk());
  EXPECT_THAT(CanRead(user, "/etc/shadow"),
              StatusIs(absl::StatusCode::kUnavailable, "open: Permission denied"));
  EXPECT_EQ(ClosedFolder(user, path_), "");
  ASSERT_EQ(::chmod(directory_.path().c_str(), 0700), 0);
  EXPECT_EQ(ClosedFolder(user, path_), directory_.path());
}

}  // namespace
}  // namespace okms::doctor
