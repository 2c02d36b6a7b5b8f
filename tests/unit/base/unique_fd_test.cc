// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <type_traits>
#include <utility>

namespace okms {
namespace {

static_assert(!std::is_copy_constructible_v<UniqueFd>);
static_assert(std::is_nothrow_move_constructible_v<UniqueFd>);

int Open() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFd, ClosesAtTheEndOfItsScope) {
  const int raw = Open();
  {
    const UniqueFd fd(raw);
    EXPECT_TRUE(fd);
    EXPECT_EQ(fd.get(), raw);
    EXPECT_TRUE(IsOpen(raw));
  }
  EXPECT_FALSE(IsOpen(raw));
}

TEST(UniqueFd, IsEmptyByDefault) {
  const UniqueFd fd;
  EXPECT_FALSE(fd);
  EXPECT_EQ(fd.get(), -1);
}

TEST(UniqueFd, MovesWithoutClosing) {
  const int raw = Open();
  UniqueFd first(raw);
  UniqueFd second(std::move(first));
  EXPECT_EQ(first.get(), -1);  // NOLINT(bugprone-use-after-move): that is what is promised
  EXPECT_EQ(second.get(), raw);
  EXPECT_TRUE(IsOpen(raw));
}

TEST(UniqueFd, MoveAssignmentClosesWhatItHeld) {
  const int old_raw = Open();
  const int new_raw = Open();
  UniqueFd target(old_raw);
  target = UniqueFd(new_raw);
  EXPECT_FALSE(IsOpen(old_raw));
  EXPECT_EQ(target.get(), new_raw);
  EXPECT_TRUE(IsOpen(new_raw));
}

TEST(UniqueFd, ReleaseGivesTheDescriptorUp) {
  UniqueFd fd(Open());
  const UniqueFd owner(fd.release());
  EXPECT_FALSE(fd);
  EXPECT_TRUE(IsOpen(owner.get()));
}

TEST(UniqueFd, ResetClosesAndTakes) {
  const int first = Open();
  const int second = Open();
  UniqueFd fd(first);
  fd.reset(second);
  EXPECT_FALSE(IsOpen(first));
  EXPECT_EQ(fd.get(), second);
  fd.reset();
  EXPECT_FALSE(IsOpen(second));
}

}  // namespace
}  // namespace okms
