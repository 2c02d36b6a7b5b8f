// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/snapshot.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "audit/sha256.h"
#include "base/read_file.h"
#include "base/secret.h"
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

std::string Big(std::int64_t number) {
  const std::string little = Little(static_cast<std::uint64_t>(number), 8);
  return {little.rbegin(), little.rend()};
}

std::string Revision(std::int64_t main, std::int64_t sub = 0) { return Big(main) + "_" + Big(sub); }

std::string Varint(std::uint64_t number) {
  std::string bytes;
  for (; number >= 0x80; number >>= 7) bytes.push_back(static_cast<char>(number | 0x80));
  bytes.push_back(static_cast<char>(number));
  return bytes;
}

// A mvccpb.KeyValue.
Element Put(std::int64_t revision, const std::string& key, const std::string& value,
            std::int64_t created = 0, std::int64_t sub = 0) {
  const auto number = [](std::int64_t n) { return Varint(static_cast<std::uint64_t>(n)); };
  return {Revision(revision, sub),
          absl::StrCat("\x0a", Varint(key.size()), key, "\x10",
                       number(created == 0 ? revision : created), "\x18", number(revision),
                       "\x20\x01\x2a", Varint(value.size()), value)};
}

Element Delete(std::int64_t revision, const std::string& key, std::int64_t sub = 0) {
  return {Revision(revision, sub) + "t", absl::StrCat("\x0a", Varint(key.size()), key)};
}

std::string Name(int i) { return absl::StrCat("/registry/secrets/a/s-", i); }

// "live NAME VALUE CREATED/REVISION", as they are passed.
using Lines = std::vector<std::string>;

class SnapshotTest : public ::testing::Test {
 protected:
  // All of the bucket `key` in one page.
  std::string File(const std::vector<Element>& records, const std::vector<Element>& meta = {}) {
    BboltImage image;
    const auto keys = image.AddLeaf(records);
    return image.Finish(
        image.AddLeaf({test::SubBucket("key", keys), test::InlineBucket("lease", {}),
                       test::InlineBucket("meta", meta)}));
  }

  absl::StatusOr<Lines> Read(const std::string& bytes, const Scope& scope = {.history = true}) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
    return Read(scope);
  }

  // What was written before.
  absl::StatusOr<Lines> Read(const Scope& scope) {
    const auto store = OpenSnapshot(path_);
    if (!store.ok()) return store.status();
    const auto extent = (*store)->Open(scope);
    if (!extent.ok()) return extent.status();
    extent_ = *extent;
    return Read(**store);
  }

  static absl::StatusOr<Lines> Read(Store& store) {
    static constexpr const char* kStandings[] = {"live", "old", "freed"};
    Lines lines;
    const absl::Status status = store.Read([&](const StoredValue& value) {
      lines.push_back(absl::StrCat(kStandings[static_cast<int>(value.standing)], " ", value.key,
                                   " ", value.value, " ", value.create_revision, "/",
                                   value.mod_revision));
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return lines;
  }

  auto Refused(absl::StatusCode code, const std::string& why) const {
    return StatusIs(code, AllOf(HasSubstr(absl::StrCat("snapshot ", path_, ": ")), HasSubstr(why)));
  }
  auto IsDamaged(const std::string& why) const { return Refused(absl::StatusCode::kDataLoss, why); }

  okms::test::TempDir folder_;
  std::string path_ = folder_ / "a.db";
  Extent extent_;
};

TEST_F(SnapshotTest, TellsWhatIsLiveFromWhatWasReplacedOrDeleted) {
  const std::string file =
      File({Put(2, Name(1), "one"), Put(3, Name(2), "two"), Put(4, Name(1), "one-again", 2),
            Put(5, Name(3), "three"), Delete(6, Name(2)), Put(7, Name(3), "three-again", 5),
            Delete(8, Name(3)), Put(9, Name(3), "three-anew")});
  EXPECT_THAT(Read(file), IsOkAndHolds(ElementsAre("live /registry/secrets/a/s-3 three-anew 9/9",
                                                   "old /registry/secrets/a/s-3 three-again 5/7",
                                                   "old /registry/secrets/a/s-3 three 5/5",
                                                   "live /registry/secrets/a/s-1 one-again 2/4",
                                                   "old /registry/secrets/a/s-2 two 3/3",
                                                   "old /registry/secrets/a/s-1 one 2/2")));
  EXPECT_EQ(extent_.revision, 9);
  EXPECT_EQ(extent_.compacted, 0);
  EXPECT_EQ(extent_.total, 2U);
  EXPECT_EQ(extent_.line, absl::StrCat("snapshot ", path_, " (without a digest)"));
  EXPECT_FALSE(extent_.whole);

  EXPECT_THAT(Read(file, {}),
              IsOkAndHolds(ElementsAre("live /registry/secrets/a/s-3 three-anew 9/9",
                                       "live /registry/secrets/a/s-1 one-again 2/4")));
}

TEST_F(SnapshotTest, KnowsTheOrderWithinATransaction) {
  EXPECT_THAT(
      Read(File({Put(2, Name(1), "a", 2, 0), Delete(2, Name(1), 1), Put(2, Name(2), "b", 2, 2)})),
      IsOkAndHolds(
          ElementsAre("live /registry/secrets/a/s-2 b 2/2", "old /registry/secrets/a/s-1 a 2/2")));
}

TEST_F(SnapshotTest, KeepsToItsScope) {
  const std::string file = File({Put(2, "/registry/pods/a/p", "1"),
                                 Put(3, "/registry/secrets/a/s", "2"), Put(4, "/other", "3")});
  EXPECT_THAT(Read(file, {.prefix = "/registry/secrets/"}),
              IsOkAndHolds(ElementsAre("live /registry/secrets/a/s 2 3/3")));
  EXPECT_EQ(extent_.revision, 4);
  EXPECT_EQ(extent_.total, 1U);
  const auto all = Read(file, {.prefix = ""});
  ASSERT_THAT(all, IsOk());
  EXPECT_EQ(all->size(), 3U);
}

TEST_F(SnapshotTest, CountsWhatIsEncryptedElsewhere) {
  const std::string encrypted = "k8s:enc:kms:v2:okms:...";
  BboltImage image;
  image.AddLeaf({Put(2, "/other/a", encrypted), Put(3, "/other/b", encrypted)});
  const auto keys = image.AddLeaf({Put(3, "/other/b", encrypted), Put(4, "/other/b", encrypted),
                                   Put(5, "/other/c", encrypted), Delete(6, "/other/c"),
                                   Put(7, "/other/d", "plain"), Put(8, Name(1), encrypted)});
  const auto root = image.AddLeaf({test::SubBucket("key", keys)});
  const std::string& file = image.Finish(root, image.AddFreelist({2}));
  EXPECT_THAT(Read(file, {}), IsOk());
  EXPECT_EQ(extent_.elsewhere, 3U) << "b twice and c";
  EXPECT_THAT(Read(file), IsOk());
  EXPECT_EQ(extent_.elsewhere, 4U) << "and a, on a freed page";
  EXPECT_THAT(Read(file, {.prefix = "", .history = true}), IsOk());
  EXPECT_EQ(extent_.elsewhere, 0U);
}

TEST_F(SnapshotTest, FindsOnceWhatStandsOnFreedPagesAlone) {
  BboltImage image;
  image.AddLeaf({Put(2, Name(1), "one"), Put(3, Name(2), "two"), Put(4, Name(3), "three")});
  image.AddLeaf({Put(3, Name(2), "two"), Put(4, Name(3), "three"), Delete(5, Name(3)),
                 Put(6, "/other", "-")});
  image.AddLeaf({{"not a revision", "-"}, {Revision(9), "no message"}, {"x", ""}});
  // Says that it is of another revision than its key.
  image.AddLeaf({{Revision(8), Put(7, Name(4), "-").value}});
  const auto keys = image.AddLeaf({Put(3, Name(2), "two"), Delete(5, Name(3))});
  const auto root = image.AddLeaf({test::SubBucket("key", keys)});
  const std::string& file = image.Finish(root, image.AddFreelist({2, 3}));
  EXPECT_THAT(Read(file), IsOkAndHolds(ElementsAre("live /registry/secrets/a/s-2 two 3/3",
                                                   "freed /registry/secrets/a/s-1 one 2/2",
                                                   "freed /registry/secrets/a/s-3 three 4/4")));
  EXPECT_EQ(extent_.total, 1U);
  EXPECT_THAT(Read(file, {}), IsOkAndHolds(ElementsAre("live /registry/secrets/a/s-2 two 3/3")));
}

TEST_F(SnapshotTest, CompactionsCountForTheRevision) {
  EXPECT_THAT(Read(File({Put(2, Name(1), "one")}, {{"finishedCompactRev", Revision(7)},
                                                   {"scheduledCompactRev", Revision(9)},
                                                   {"term", Big(1)}})),
              IsOk());
  EXPECT_EQ(extent_.compacted, 7);
  EXPECT_EQ(extent_.revision, 9);
  EXPECT_THAT(Read(File({}, {{"finishedCompactRev", "7"}})), IsDamaged("its last compaction"));
}

TEST_F(SnapshotTest, AnEtcdMayBeEmpty) {
  EXPECT_THAT(Read(File({})), IsOkAndHolds(IsEmpty()));
  EXPECT_EQ(extent_.revision, 1);
  // What etcdutl snapshot restore --bump-revision leaves.
  EXPECT_THAT(Read(File({{Revision(1000), ""}})), IsOkAndHolds(IsEmpty()));
  EXPECT_EQ(extent_.revision, 1000);
}

TEST_F(SnapshotTest, RefusesRecordsThatAreNone) {
  for (const Element& wrong :
       {Element{"a", "b"}, Element{Revision(2), "b"}, Element{Revision(2) + "x", ""},
        Element{Revision(-2), ""}, Element{Revision(3), Put(2, Name(1), "one").value},
        Put(2, Name(1), "one", 3), Put(2, "", "one"), Element{Revision(2), "", true},
        Element{Revision(2), Put(2, Name(1), "one").value + "\x3a"},
        Element{Revision(2), Put(2, Name(1), "one").value + std::string("\x38\0", 2)}}) {
    EXPECT_THAT(Read(File({wrong})), IsDamaged("its last record is none of etcd's"));
  }
  EXPECT_THAT(Read(File({Put(3, Name(1), "one"), Put(2, Name(2), "two")})),
              IsDamaged("its record before revision 2 is a later one"));
  EXPECT_THAT(Read(File({Put(3, Name(1), "one"), Put(3, Name(2), "two")})),
              IsDamaged("its record before revision 3 is a later one"));
}

TEST_F(SnapshotTest, ChecksTheDigest) {
  std::string file = File({Put(2, Name(1), "one")});
  Sha256 sha256;
  sha256.Add(AsBytes(file));
  absl::StrAppend(&file, AsText(sha256.Take()));
  EXPECT_THAT(Read(file), IsOkAndHolds(ElementsAre("live /registry/secrets/a/s-1 one 2/2")));
  EXPECT_EQ(extent_.line, absl::StrCat("snapshot ", path_));
  EXPECT_TRUE(extent_.whole);
  file[file.size() - 33] ^= 1;
  EXPECT_THAT(Read(file), IsDamaged("the SHA-256 at its end is not that of what is in it"));
}

TEST_F(SnapshotTest, RefusesOtherFiles) {
  BboltImage image;
  EXPECT_THAT(Read(image.Finish(image.AddLeaf({test::InlineBucket("other", {})}))),
              Refused(absl::StatusCode::kFailedPrecondition, "has no bucket `key`"));
  ::unlink(path_.c_str());
  EXPECT_THAT(OpenSnapshot(path_).status(),
              Refused(absl::StatusCode::kNotFound, "cannot be read: No such file"));
  ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);
  EXPECT_THAT(OpenSnapshot(path_).status(),
              Refused(absl::StatusCode::kFailedPrecondition, "is a folder"));
  ::rmdir(path_.c_str());
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(OpenSnapshot(path_).status(),
              Refused(absl::StatusCode::kFailedPrecondition, "is no regular file"));
}

TEST_F(SnapshotTest, RefusesWhatAnEtcdHasOpen) {
  ASSERT_THAT(Read(File({})), IsOk());
  const UniqueFd etcd = OpenToRead(path_);
  ASSERT_EQ(::flock(etcd.get(), LOCK_EX), 0);
  EXPECT_THAT(OpenSnapshot(path_).status(), Refused(absl::StatusCode::kFailedPrecondition,
                                                    "is the database of an etcd that runs"));
  // It keeps no lock of its own.
  ASSERT_EQ(::flock(etcd.get(), LOCK_UN), 0);
  const auto store = OpenSnapshot(path_);
  ASSERT_THAT(store, IsOk());
  EXPECT_EQ(::flock(etcd.get(), LOCK_EX | LOCK_NB), 0);
}

TEST_F(SnapshotTest, NoticesThatItIsWrittenMeanwhile) {
  const std::string file = File({Put(2, Name(1), "one"), Put(3, Name(2), "two")});
  for (const off_t size : {off_t{0}, off_t{5000}, static_cast<off_t>(file.size()) + 1024}) {
    ASSERT_THAT(Read(file), IsOk());
    const auto store = OpenSnapshot(path_);
    ASSERT_THAT(store, IsOk());
    ASSERT_THAT((*store)->Open({.history = true}), IsOk());
    const auto cut = [&](const StoredValue&) {
      EXPECT_EQ(::truncate(path_.c_str(), size), 0);
      return absl::OkStatus();
    };
    EXPECT_THAT((*store)->Read(cut),
                Refused(absl::StatusCode::kAborted, "was written while it was read"));
    EXPECT_THAT((*store)->Open({}),
                Refused(absl::StatusCode::kAborted, "was written while it was read"));
    EXPECT_THAT(Read(**store),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("opened")));
  }
}

TEST_F(SnapshotTest, EndsWithTheErrorOfWhoIsCalled) {
  ASSERT_THAT(Read(File({Put(2, Name(1), "one"), Put(3, Name(2), "two")})), IsOk());
  const auto store = OpenSnapshot(path_);
  ASSERT_THAT(store, IsOk());
  ASSERT_THAT((*store)->Open({}), IsOk());
  int calls = 0;
  EXPECT_THAT((*store)->Read([&](const StoredValue&) {
    ++calls;
    return absl::CancelledError("enough");
  }),
              StatusIs(absl::StatusCode::kCancelled, "enough"));
  EXPECT_EQ(calls, 1);
  const auto again = Read(**store);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->size(), 2U);
}

// Freed pages, overflow, a branch and a bucket within another element.
std::string Everything() {
  BboltImage image;
  image.AddLeaf({Put(2, Name(1), "old"), Put(3, Name(2), std::string(1500, 'f'))});
  const auto first =
      image.AddLeaf({Put(4, Name(1), "one"), Put(5, Name(2), std::string(1500, 't'))});
  const auto second = image.AddLeaf({Put(6, Name(3), "three"), Delete(7, Name(1))});
  const auto keys = image.AddBranch({first, second});
  const auto root =
      image.AddLeaf({test::SubBucket("key", keys),
                     test::InlineBucket("meta", {{"finishedCompactRev", Revision(3)}})});
  return image.Finish(root, image.AddFreelist({2, 3}));
}

TEST_F(SnapshotTest, SurvivesEachBitThatIsFlipped) {
  const std::string sound = Everything();
  ASSERT_THAT(Read(sound), IsOk());
  const UniqueFd file(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
  std::size_t refused = 0;
  for (std::size_t i = 0; i < sound.size() * 8; i += 13) {
    const auto at = static_cast<off_t>(i / 8);
    const char flipped = static_cast<char>(sound[i / 8] ^ (1 << i % 8));
    ASSERT_EQ(::pwrite(file.get(), &flipped, 1, at), 1);
    const auto lines = Read(Scope{.history = true});
    ASSERT_EQ(::pwrite(file.get(), &sound[i / 8], 1, at), 1);
    // What is in the values, or unused, is for a digest to notice.
    if (lines.ok()) continue;
    ++refused;
    ASSERT_THAT(lines.status(), Refused(lines.status().code(), ""));
    ASSERT_TRUE(absl::IsDataLoss(lines.status()) || absl::IsFailedPrecondition(lines.status()))
        << lines.status();
  }
  EXPECT_GT(refused, 100U);
  EXPECT_THAT(Read(Scope{}), IsOk());
}

TEST_F(SnapshotTest, RefusesEachFileThatIsCut) {
  const std::string sound = Everything();
  ASSERT_THAT(Read(sound), IsOk());
  for (std::size_t size = sound.size(); size > 0; --size) {
    ASSERT_EQ(::truncate(path_.c_str(), static_cast<off_t>(size - 1)), 0);
    ASSERT_FALSE(Read(Scope{}).ok()) << size;
  }
}

}  // namespace
}  // namespace okms::audit
