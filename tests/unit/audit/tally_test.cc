// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/tally.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "unit/audit/values.h"

namespace okms::audit {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class TallyTest : public testing::Test {
 protected:
  void Add(const std::string& key, const std::string& value, std::int64_t revision,
           Standing standing = Standing::kLive) {
    tally.Add(At(key, value, revision, standing), ReadEnvelope(value));
  }

  Tally tally{"/registry/"};
};

TEST_F(TallyTest, CountsByResourceProviderAndKey) {
  Add("/registry/secrets/a/1", KmsV2("k1", "s1"), 7);
  Add("/registry/secrets/a/2", KmsV2("k1", "s1"), 5);
  Add("/registry/secrets/a/3", KmsV2("k1", "s2"), 9);
  Add("/registry/secrets/a/4", KmsV2("k2", "s2"), 2);
  Add("/registry/configmaps/a/1", KmsV2("k1", "s1"), 3);
  Add("/registry/configmaps/a/2", Protobuf(1), 4);

  ASSERT_THAT(tally.groups(), SizeIs(4));
  const Count& first =
      tally.groups().at({Standing::kLive, "secrets", Kind::kKmsV2, "okms", "k1", ""});
  EXPECT_EQ(first.objects, 3u);
  EXPECT_EQ(first.oldest, 5);
  EXPECT_EQ(first.newest, 9);
  EXPECT_EQ(first.seeds, 2u);
  EXPECT_THAT(first.first, ElementsAre("/registry/secrets/a/1", "/registry/secrets/a/2",
                                       "/registry/secrets/a/3"));
  EXPECT_EQ(tally.groups().at({Standing::kLive, "configmaps", Kind::kProtobuf, "", "", ""}).seeds,
            0u);
  EXPECT_EQ(tally.values(), 6u);
  // k1's two, and the one that is another under k2: what configmaps have is known by then.
  EXPECT_EQ(tally.live_seeds(), 3u);
}

TEST_F(TallyTest, KeepsApartWhatIsNotLive) {
  Add("/registry/secrets/a/1", KmsV2("k2", "s2"), 7);
  Add("/registry/secrets/a/1", KmsV2("k1", "s1"), 5, Standing::kOldRevision);
  Add("/registry/secrets/a/1", KmsV2("k0", "s0"), 3, Standing::kFreedPage);
  EXPECT_THAT(tally.groups(), SizeIs(3));
  EXPECT_EQ(tally.live_seeds(), 1u) << "nobody who starts reads the others";
}

TEST_F(TallyTest, KeepsNoMoreThanAFewNames) {
  // A snapshot is read from its end.
  for (int i = 1999; i >= 1000; --i) {
    Add(absl::StrCat("/registry/secrets/a/", i), Protobuf(1), 1 + i);
  }
  ASSERT_THAT(tally.groups(), SizeIs(1));
  const std::vector<std::string>& names = tally.groups().begin()->second.first;
  ASSERT_THAT(names, SizeIs(Tally::kMostNames));
  EXPECT_EQ(names.front(), "/registry/secrets/a/1000");
  EXPECT_EQ(names.back(), "/registry/secrets/a/1009");
}

TEST_F(TallyTest, NamesAnObjectOnce) {
  for (int i = 20; i >= 10; --i) {
    for (int revision = 1; revision < 4; ++revision) {
      Add(absl::StrCat("/registry/leases/a/", i), KmsV2("k1", "s1"), revision,
          Standing::kOldRevision);
    }
  }
  const std::vector<std::string>& names = tally.groups().begin()->second.first;
  ASSERT_THAT(names, SizeIs(Tally::kMostNames));
  EXPECT_EQ(names.front(), "/registry/leases/a/10");
  EXPECT_EQ(names.back(), "/registry/leases/a/19");
}

TEST_F(TallyTest, IsBoundedWhateverThereIs) {
  constexpr std::size_t kMore = 50;
  for (std::size_t i = 0; i < Tally::kMostGroups + kMore; ++i) {
    Add(absl::StrCat("/registry/r", i, "/name"), Protobuf(1), 1);
  }
  EXPECT_THAT(tally.groups(), SizeIs(Tally::kMostGroups));
  EXPECT_EQ(tally.uncounted(), kMore);
  Add("/registry/r0/other", Protobuf(1), 1);
  EXPECT_EQ(tally.uncounted(), kMore) << "that one has its place";
}

}  // namespace
}  // namespace okms::audit
