// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "config/key_id_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"
#include "support/temp_dir.h"

namespace okms {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::HasSubstr;

constexpr char kOption[] = "--encryption-key-id-file";
constexpr char kUuid[] = "70001308-5674-43fe-93dd-6270ecac0710";

class KeyIdFileTest : public testing::Test {
 protected:
  absl::StatusOr<std::string> Read(bool must_be_uuid = false) const {
    return ReadKeyIdFile({kOption, path_}, must_be_uuid);
  }
  absl::StatusOr<std::string> ReadOf(const std::string& content, bool must_be_uuid = false) const {
    std::ofstream(path_, std::ios::binary) << content;
    return Read(must_be_uuid);
  }
  void ExpectWrong(const absl::StatusOr<std::string>& id, const std::string& why) const {
    EXPECT_THAT(id, StatusIs(absl::StatusCode::kInvalidArgument,
                             absl::StrCat(kOption, " ", path_, ": ", why)));
  }

  const test::TempDir folder_;
  const std::string path_ = folder_ / "id";
};

TEST_F(KeyIdFileTest, WhatIsAroundTheIdIsNoPartOfIt) {
  for (const char* content : {"key-1", "key-1\n", "key-1\r\n", "\n\n  key-1\t \n\n",
                              "\xEF\xBB\xBFkey-1\r\n", "\xEF\xBB\xBF \nkey-1"}) {
    const auto id = ReadOf(content);
    ASSERT_THAT(id, IsOk()) << content;
    EXPECT_EQ(*id, "key-1") << content;
  }
}

TEST_F(KeyIdFileTest, AnIdMayHaveUnusualCharacters) {
  const std::string id = "k\xC3\xA9y 1/\"2\"";
  EXPECT_EQ(*ReadOf(id + "\n"), id);
  EXPECT_EQ(*ReadOf(std::string(1024, 'k') + "\n"), std::string(1024, 'k'));
}

TEST_F(KeyIdFileTest, WhatIsWrongIsSaidWithFileAndRemedy) {
  const std::string nothing_else = "; it must hold the id of the key and nothing else";
  const struct {
    std::string content;
    std::string why;
  } cases[] = {
      {"", "is empty; write the id of the key into it"},
      {" \r\n\t\n", "is empty; write the id of the key into it"},
      {"\xEF\xBB\xBF\n", "is empty; write the id of the key into it"},
      {"key-1\nkey-2\n", "has several lines" + nothing_else},
      {"key-1\rkey-2", "has several lines" + nothing_else},
      {std::string("key\0-1", 6), "has a control character in it" + nothing_else},
      {"key\x1B[2J", "has a control character in it" + nothing_else},
      {"k\xE9y", "is no UTF-8 text; save it as UTF-8"},
      {std::string("\xFF\xFEk\0e\0y\0", 8), "is no UTF-8 text; save it as UTF-8"},
      {"\"key-1\"\n", "has quotes around the id, which would be part of it; leave them out"},
      {"'key-1'", "has quotes around the id, which would be part of it; leave them out"},
      {std::string(1025, 'k'), "holds an id of 1025 bytes; at most 1024 are possible"},
      {std::string(4097, ' '), "has more than 4096 bytes" + nothing_else},
  };
  for (const auto& [content, why] : cases) ExpectWrong(ReadOf(content), why);
}

TEST_F(KeyIdFileTest, OverRestItIsAUuid) {
  EXPECT_EQ(*ReadOf(absl::StrCat(kUuid, "\n"), true), kUuid);
  ExpectWrong(ReadOf("key-1", true),
              "holds key-1: no UUID, as the REST API has; give the id of a service key");
}

TEST_F(KeyIdFileTest, OneThatIsNotThere) {
  ExpectWrong(Read(), "cannot be read: open: No such file or directory; correct the path");
}

TEST_F(KeyIdFileTest, OneThatMayNotBeRead) {
  ASSERT_THAT(ReadOf("key-1"), IsOk());
  ASSERT_EQ(::chmod(path_.c_str(), 0), 0);
  constexpr uid_t kNobody = 65534;
  if (::geteuid() == 0) ::setfsuid(kNobody);  // root may read everything
  ExpectWrong(Read(), "cannot be read: open: Permission denied; let this service's user read it");
  ::setfsuid(::geteuid());
}

TEST_F(KeyIdFileTest, WhatIsNoRegularFileIsNotWaitedFor) {
  EXPECT_THAT(ReadKeyIdFile({kOption, folder_.path()}, false),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is no regular file")));
  EXPECT_THAT(ReadKeyIdFile({kOption, "/dev/zero"}, false),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is no regular file")));
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  ExpectWrong(Read(), "is no regular file; name the file that holds the id");
}

TEST_F(KeyIdFileTest, ALinkIsFollowed) {
  std::ofstream(folder_ / "there") << "key-1\n";
  ASSERT_EQ(::symlink("there", path_.c_str()), 0);
  EXPECT_EQ(*Read(), "key-1");
}

TEST_F(KeyIdFileTest, ThePathIsPrintable) {
  EXPECT_THAT(ReadKeyIdFile({kOption, "/no\nsuch\xFF"}, false),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("/no?such?: cannot be read: open: No such file or directory")));
}

}  // namespace
}  // namespace okms
