// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/bbolt_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "audit/freed_pages.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "unit/audit/bbolt_image.h"

namespace okms::audit {
namespace {

using okms::test::IsOk;
using okms::test::IsOkAndHolds;
using okms::test::StatusIs;
using test::BboltImage;
using test::Element;
using test::Little;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class BboltFileTest : public ::testing::Test {
 protected:
  absl::StatusOr<BboltFile> Open(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
    auto file = SnapshotFile::Open(path_);
    if (!file.ok()) return file.status();
    return BboltFile::Open(*std::move(file));
  }

  // The keys of the root bucket, as they are passed.
  absl::StatusOr<std::vector<std::string>> Keys(const std::string& bytes) {
    const auto bbolt = Open(bytes);
    if (!bbolt.ok()) return bbolt.status();
    auto used = bbolt->FixedPages();
    if (!used.ok()) return used.status();
    return Keys(*bbolt, bbolt->Root(), *used);
  }

  static absl::StatusOr<std::vector<std::string>> Keys(const BboltFile& bbolt, const Bucket& bucket,
                                                       PageSet& used) {
    std::vector<std::string> keys;
    const absl::Status status = bbolt.Walk(bucket, used, [&](const LeafElement& element) {
      keys.emplace_back(AsText(element.key));
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return keys;
  }

  static std::vector<std::string> Freed(const BboltFile& bbolt) {
    PageSet used = bbolt.FixedPages().value();
    EXPECT_THAT(bbolt.MarkAll(bbolt.Root(), used), IsOk());
    std::vector<std::string> keys;
    EXPECT_THAT(ForEachFreed(bbolt, used,
                             [&](const LeafElement& element) {
                               keys.emplace_back(AsText(element.key));
                               return absl::OkStatus();
                             }),
                IsOk());
    return keys;
  }

  auto IsDamaged(const std::string& why) const {
    return StatusIs(absl::StatusCode::kDataLoss,
                    AllOf(HasSubstr(absl::StrCat("snapshot ", path_, ": is damaged: ")),
                          HasSubstr(why), HasSubstr("etcdctl snapshot save")));
  }

  okms::test::TempDir folder_;
  std::string path_ = folder_ / "a.db";
};

TEST_F(BboltFileTest, ReadsATreeFromItsLastKey) {
  BboltImage image;
  const auto first = image.AddLeaf({{"a", "1"}, {"b", "2"}});
  const auto second = image.AddLeaf({{"c", "3"}});
  const auto third = image.AddLeaf({{"d", "4"}, {"e", "5"}});
  const auto below = image.AddBranch({first, second});
  EXPECT_THAT(Keys(image.Finish(image.AddBranch({below, third}))),
              IsOkAndHolds(ElementsAre("e", "d", "c", "b", "a")));
}

TEST_F(BboltFileTest, ReadsAValueOfSeveralPages) {
  BboltImage image;
  const std::string value(5000, 'v');
  const auto bbolt = Open(image.Finish(image.AddLeaf({{"a", value}, {"b", ""}})));
  ASSERT_THAT(bbolt, IsOk());
  PageSet used = *bbolt->FixedPages();
  std::vector<std::string> values;
  EXPECT_THAT(bbolt->Walk(bbolt->Root(), used,
                          [&](const LeafElement& element) {
                            values.emplace_back(AsText(element.value));
                            return absl::OkStatus();
                          }),
              IsOk());
  EXPECT_THAT(values, ElementsAre("", value));
  EXPECT_EQ(used, PageSet(7, true));
}

TEST_F(BboltFileTest, ReadsBucketsOfTheirOwnPagesAndWithin) {
  BboltImage image;
  const auto leaf = image.AddLeaf({{"x", "1"}});
  const auto nested =
      image.AddLeaf({test::SubBucket("inner", leaf), test::InlineBucket("within", {{"y", "2"}})});
  const auto bbolt = Open(image.Finish(image.AddLeaf({test::SubBucket("outer", nested)})));
  ASSERT_THAT(bbolt, IsOk());
  PageSet used = *bbolt->FixedPages();
  std::vector<std::string> found;
  const auto inner = [&](const LeafElement& element) {
    const auto bucket = bbolt->SubBucket(element);
    EXPECT_THAT(bucket, IsOk());
    const auto keys = Keys(*bbolt, *bucket, used);
    EXPECT_THAT(keys, IsOk());
    found.insert(found.end(), keys->begin(), keys->end());
    return absl::OkStatus();
  };
  const auto outer = [&](const LeafElement& element) {
    return bbolt->Walk(*bbolt->SubBucket(element), used, inner);
  };
  EXPECT_THAT(bbolt->Walk(bbolt->Root(), used, outer), IsOk());
  EXPECT_THAT(found, ElementsAre("y", "x"));

  PageSet marked = *bbolt->FixedPages();
  EXPECT_THAT(bbolt->MarkAll(bbolt->Root(), marked), IsOk());
  EXPECT_EQ(marked, PageSet(5, true));
}

TEST_F(BboltFileTest, TakesTheNewerMetaAndTheOtherOneIfThatIsNotSound) {
  for (const std::size_t page_size : {1024U, 4096U, 16384U, 65536U}) {
    BboltImage image(page_size);
    const auto before = image.AddLeaf({{"before", ""}});
    const auto now = image.AddLeaf({{"now", ""}});
    for (const std::size_t newer : {0U, 1U}) {
      image.WriteMeta(newer, now, kNoFreelist, 8);
      image.WriteMeta(1 - newer, before, kNoFreelist, 7);
      EXPECT_THAT(Keys(image.bytes()), IsOkAndHolds(ElementsAre("now")));
      image.bytes()[newer * page_size + 16 + 48] ^= 1;  // its transaction
      EXPECT_THAT(Keys(image.bytes()), IsOkAndHolds(ElementsAre("before"))) << page_size;
    }
  }
}

TEST_F(BboltFileTest, TakesNoMetaThatSomebodyStored) {
  BboltImage image;
  const auto mine = image.AddLeaf({{"mine", ""}});
  while (image.next() < 12) image.AddZeroes();
  // Where the second meta, and the first page after it, would be if pages had 4 KiB.
  BboltImage theirs(4096);
  theirs.WriteMeta(1, theirs.AddLeaf({{"theirs", ""}}), kNoFreelist, 99);
  image.bytes().replace(4096, 8192, theirs.bytes().substr(4096));
  EXPECT_THAT(Keys(image.Finish(mine)), IsOkAndHolds(ElementsAre("mine")));
  image.bytes()[16 + 48] ^= 1;  // also when the first meta is not sound
  EXPECT_THAT(Keys(image.bytes()), IsOkAndHolds(ElementsAre("mine")));
}

TEST_F(BboltFileTest, RefusesWhatIsNoBbolt) {
  const auto refused = [&](const std::string& why) {
    return StatusIs(absl::StatusCode::kFailedPrecondition,
                    AllOf(HasSubstr(absl::StrCat("snapshot ", path_, ": ")), HasSubstr(why)));
  };
  EXPECT_THAT(Open(""), refused("is empty"));
  EXPECT_THAT(Open("a"), refused("is no database of etcd's, or encrypted"));
  EXPECT_THAT(Open(std::string(100000, '\x5a')), refused("is no database of etcd's"));
  EXPECT_THAT(Open("\x1f\x8b\x08" + std::string(5000, 'z')), refused("is compressed"));
  BboltImage image;
  const auto root = image.AddLeaf({});
  image.WriteMeta(0, root, kNoFreelist, 8, 3);
  image.WriteMeta(1, root, kNoFreelist, 7, 3);
  EXPECT_THAT(Open(image.bytes()), refused("is of bbolt's format 3"));
}

TEST_F(BboltFileTest, SaysWhatIsDamaged) {
  BboltImage image;
  const auto root = image.AddLeaf({{"a", "1"}});
  const std::string sound = image.Finish(root);
  ASSERT_THAT(Keys(sound), IsOk());
  EXPECT_THAT(Keys(sound.substr(0, 2 * 1024)), IsDamaged("it ends after 2 of 3 pages"));

  std::string bytes = sound;
  bytes[16 + 56] ^= 1;
  bytes[1024 + 16 + 56] ^= 1;
  EXPECT_THAT(Keys(bytes), IsDamaged("neither of its two meta pages is sound"));

  struct Case {
    std::size_t at;  // in the leaf
    std::string bytes;
    const char* why;
  };
  for (const Case& wrong : {Case{0, Little(3, 8), "page 2 has a head that does not fit"},
                            Case{8, Little(8, 2), "page 2 has a head that does not fit"},
                            Case{8, Little(16, 2), "page 2 is neither a branch nor a leaf"},
                            Case{8, Little(1, 2), "page 49 is not in the file"},
                            Case{10, Little(2, 2), "page 2 has fewer elements than it says"},
                            Case{10, Little(65535, 2), "page 2 has fewer elements than it says"},
                            Case{12, Little(1, 4), "page 2 is longer than the file"},
                            Case{12, Little(0xFFFFFFFF, 4), "page 2 is longer than the file"},
                            Case{20, Little(15, 4), "page 2 has fewer elements"},
                            Case{20, Little(0xFFFFFFFF, 4), "page 2 has fewer elements"},
                            Case{24, Little(0, 4), "page 2 has fewer elements"},
                            Case{24, Little(0xFFFFFFFF, 4), "page 2 has fewer elements"},
                            Case{28, Little(0xFFFFFFFF, 4), "page 2 has fewer elements"},
                            Case{28, Little(1024 - 32, 4), "page 2 has fewer elements"}}) {
    SCOPED_TRACE(absl::StrCat(wrong.at, ": ", wrong.why));
    bytes = sound;
    bytes.replace(image.At(root) + wrong.at, wrong.bytes.size(), wrong.bytes);
    // A branch in its place has its child where the sizes are.
    if (wrong.at == 8 && wrong.bytes[0] == 1) {
      bytes.replace(image.At(root) + 24, 8, Little(49, 8));
    }
    EXPECT_THAT(Keys(bytes), IsDamaged(wrong.why));
  }
  bytes = sound;
  bytes.replace(image.At(root) + 28, 4, Little(1024 - 33, 4));  // to the last byte
  EXPECT_THAT(Keys(bytes), IsOk());
}

TEST_F(BboltFileTest, ElementsShareNoByte) {
  BboltImage image;
  const auto root = image.AddLeaf({{"a", "11"}, {"b", "2"}});
  image.Finish(root);
  std::string& bytes = image.bytes();
  ASSERT_THAT(Keys(bytes), IsOk());
  bytes[image.At(root) + 16 + 12] = 3;  // one more than its value has
  EXPECT_THAT(Keys(bytes), IsDamaged("page 2 has fewer elements than it says"));
}

TEST_F(BboltFileTest, GoesInNoCircle) {
  BboltImage image;
  EXPECT_THAT(Keys(image.Finish(image.AddBranch({2}))), IsDamaged("page 2 is in two places"));

  BboltImage twice;
  const auto leaf = twice.AddLeaf({{"a", "1"}});
  EXPECT_THAT(Keys(twice.Finish(twice.AddBranch({leaf, leaf}))),
              IsDamaged("page 2 is in two places"));

  BboltImage metas;
  EXPECT_THAT(Keys(metas.Finish(metas.AddBranch({1}))), IsDamaged("page 1 is not in the file"));

  BboltImage free;
  const auto root = free.AddLeaf({{"a", "1"}});
  EXPECT_THAT(Keys(free.Finish(root, root)), IsDamaged("page 2 is not the list of free pages"));
}

TEST_F(BboltFileTest, GoesNoDeeperThanAnyTreeIs) {
  BboltImage image;
  std::uint64_t root = image.AddLeaf({{"a", "1"}});
  for (int i = 0; i < 32; ++i) root = image.AddBranch({root});
  EXPECT_THAT(Keys(image.Finish(root)), IsOkAndHolds(ElementsAre("a")));
  EXPECT_THAT(Keys(image.Finish(image.AddBranch({root}))), IsDamaged("is too deep in its tree"));

  BboltImage buckets;
  root = buckets.AddLeaf({});
  for (int i = 0; i < 34; ++i) root = buckets.AddLeaf({test::SubBucket("b", root)});
  const auto bbolt = Open(buckets.Finish(root));
  ASSERT_THAT(bbolt, IsOk());
  PageSet used = *bbolt->FixedPages();
  EXPECT_THAT(bbolt->MarkAll(bbolt->Root(), used), IsDamaged("buckets are nested too deeply"));
}

TEST_F(BboltFileTest, RefusesABranchThatIsLongerThanAnyIs) {
  BboltImage image;
  const auto leaf = image.AddLeaf({{"a", "1"}});
  const auto root = image.AddBranch({leaf});
  while (image.next() <= root + 1024) image.AddZeroes();
  image.Finish(root);
  image.bytes().replace(image.At(root) + 12, 4, Little(1023, 4));
  EXPECT_THAT(Keys(image.bytes()), IsOkAndHolds(ElementsAre("a")));
  image.bytes().replace(image.At(root) + 12, 4, Little(1024, 4));
  EXPECT_THAT(Keys(image.bytes()), IsDamaged("is a branch of more than 1 MiB"));
}

TEST_F(BboltFileTest, NoBucketIsWithinOneWithoutPages) {
  BboltImage image;
  Element inner = test::InlineBucket("inner", {{"a", "1"}});
  const auto root = image.AddLeaf({test::InlineBucket("outer", {inner})});
  const auto bbolt = Open(image.Finish(root));
  ASSERT_THAT(bbolt, IsOk());
  PageSet used = *bbolt->FixedPages();
  EXPECT_THAT(bbolt->MarkAll(bbolt->Root(), used), IsDamaged("a bucket within another's own page"));
}

TEST_F(BboltFileTest, HasNoMoreBucketsThanPages) {
  BboltImage image;
  const auto inner = image.AddLeaf({});
  std::vector<Element> buckets;
  for (int i = 0; i < 20; ++i) buckets.push_back(test::SubBucket(absl::StrCat(i), inner));
  const auto bbolt = Open(image.Finish(image.AddLeaf(buckets)));
  ASSERT_THAT(bbolt, IsOk());
  PageSet used = *bbolt->FixedPages();
  EXPECT_THAT(bbolt->MarkAll(bbolt->Root(), used), IsDamaged("more buckets than pages"));
}

#ifndef OKMS_SANITIZED  // such a build keeps for a while what was freed
// The most memory, in KiB, since it was last asked for.
long TakeMostMemory() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word && word != "VmHWM:") {
  }
  long most = 0;
  status >> most;
  std::ofstream("/proc/self/clear_refs") << "5";
  return most;
}

TEST_F(BboltFileTest, HoldsOnePageAtATime) {
  constexpr std::size_t kMiB = 1 << 20;
  constexpr long kAFew = 8 * 1024;
  constexpr int kLevels = 30;
  BboltImage branches(1 << 16);
  std::uint64_t root = branches.AddLeaf({{"a", std::string(kMiB, 'v')}});
  BboltImage buckets(1 << 16);
  std::uint64_t bucket = buckets.AddLeaf({});
  for (int i = 0; i < kLevels; ++i) {
    root = branches.AddBranch({root});
    while (branches.next() < root + 16) branches.AddZeroes();
    branches.bytes().replace(branches.At(root) + 12, 4, Little(15, 4));
    bucket = buckets.AddLeaf({test::SubBucket("b", bucket), {"c", std::string(kMiB, 'v')}});
  }
  const auto bbolt = Open(branches.Finish(root));
  ASSERT_THAT(bbolt, IsOk());
  PageSet used = *bbolt->FixedPages();
  TakeMostMemory();
  const long before = TakeMostMemory();
  EXPECT_THAT(Keys(*bbolt, bbolt->Root(), used), IsOkAndHolds(ElementsAre("a")));
  EXPECT_LE(TakeMostMemory() - before, kAFew);

  const auto nested = Open(buckets.Finish(bucket));
  ASSERT_THAT(nested, IsOk());
  used = *nested->FixedPages();
  TakeMostMemory();
  EXPECT_THAT(nested->MarkAll(nested->Root(), used), IsOk());
  EXPECT_LE(TakeMostMemory() - before, kAFew);
}
#endif

TEST_F(BboltFileTest, FindsWhatFreedPagesHold) {
  BboltImage image;
  image.AddLeaf({{"freed-1", "1"}, {"freed-2", std::string(3000, '2')}});
  image.AddZeroes();
  image.AddLeaf({{"freed-3", "3"}});
  const auto freelist = image.AddFreelist({2, 3, 4, 5, 6, 7});
  const auto root = image.AddLeaf({{"used", "4"}});
  image.AddBranch({2});
  const auto bbolt = Open(image.Finish(root, freelist));
  ASSERT_THAT(bbolt, IsOk());
  EXPECT_THAT(Freed(*bbolt), ElementsAre("freed-1", "freed-2", "freed-3"));
}

// The three pages after the head are given to others; `where` is which of them.
class OverwrittenTest : public BboltFileTest, public ::testing::WithParamInterface<std::size_t> {};

TEST_P(OverwrittenTest, PassesOnlyWhatIsWhole) {
  const std::vector<Element> elements{
      {"a", "1"}, {"b", std::string(1000, '2')}, {"c", std::string(2000, '3')}};
  // Up to the page that is overwritten: b ends in the second one, c in the third.
  const std::vector<std::vector<std::string>> whole{{"a"}, {"a", "b"}};
  const std::size_t where = GetParam();
  for (const bool freed_too : {false, true}) {
    BboltImage image;
    const auto run = image.AddLeaf(elements);
    ASSERT_EQ(image.next(), run + 3);
    const std::string leaf = test::LeafBytes(run + 1 + where, {{"later", "4"}});
    image.bytes().replace(image.At(run + 1 + where), 1024,
                          leaf + std::string(1024 - leaf.size(), '\0'));
    const auto other = image.AddLeaf({{"other", ""}});
    const auto bbolt = Open(image.Finish(freed_too ? other : run + 1 + where));
    ASSERT_THAT(bbolt, IsOk());
    std::vector<std::string> expected = whole[where];
    expected.emplace_back(freed_too ? "later" : "other");
    EXPECT_EQ(Freed(*bbolt), expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Pages, OverwrittenTest, ::testing::Values(0, 1));

TEST_F(BboltFileTest, TakesNoPieceOfAValueForAPage) {
  BboltImage image;
  // Each page of the value begins as a leaf, but for its number.
  std::string value = std::string(1024 - 32 - 5, '-');
  for (int i = 0; i < 3; ++i) {
    std::string leaf = test::LeafBytes(99, {{"nonsense", "1"}});
    leaf.resize(1024);
    value += leaf;
  }
  const auto freed = image.AddLeaf({{"freed", value}});
  ASSERT_EQ(image.bytes().substr(image.At(freed + 1), 8), Little(99, 8));
  const auto bbolt = Open(image.Finish(image.AddLeaf({})));
  ASSERT_THAT(bbolt, IsOk());
  EXPECT_THAT(Freed(*bbolt), ElementsAre("freed"));
  // The same when its own page is gone.
  image.bytes().replace(image.At(freed), 1024, std::string(1024, '\0'));
  const auto headless = Open(image.bytes());
  ASSERT_THAT(headless, IsOk());
  EXPECT_THAT(Freed(*headless), IsEmpty());
}

}  // namespace
}  // namespace okms::audit
