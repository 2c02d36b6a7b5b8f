// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "sandbox/free_id.h"

#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/types.h>

#include <set>

namespace okms::sandbox {
namespace {

TEST(FreeId, IsTheSameEachTime) {
  const auto none_is_taken = [](uid_t) { return false; };
  const std::optional<uid_t> id = FreeId(none_is_taken);
  ASSERT_TRUE(id);
  EXPECT_GE(*id, kFirstFreeId);
  EXPECT_LE(*id, kLastFreeId);
  EXPECT_EQ(FreeId(none_is_taken), id);
}

TEST(FreeId, IsNobodysAndAnyOneAtWorst) {
  std::set<uid_t> taken;
  const auto is_taken = [&](uid_t id) { return taken.contains(id); };
  while (const std::optional<uid_t> id = FreeId(is_taken)) {
    ASSERT_GE(*id, kFirstFreeId);
    ASSERT_LE(*id, kLastFreeId);
    ASSERT_TRUE(taken.insert(*id).second) << *id << " is taken";
  }
  EXPECT_EQ(taken.size(), kLastFreeId - kFirstFreeId + 1);
}

TEST(IsTaken, ByAUserOrAGroup) {
  EXPECT_TRUE(IsTaken(0));
  EXPECT_TRUE(IsTaken(65534));  // nobody
  EXPECT_FALSE(IsTaken(4'000'000'000));
  // Each kind alone, where this machine has some.
  for (uid_t id = 0; id < 1000; ++id) {
    const bool known = ::getpwuid(id) != nullptr || ::getgrgid(id) != nullptr;
    EXPECT_EQ(IsTaken(id), known) << id;
  }
}

}  // namespace
}  // namespace okms::sandbox
