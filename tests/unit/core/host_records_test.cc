// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/host_records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "unit/core/fake_backend.h"

namespace okms {
namespace {

using test::Plain;

class HostRecordsTest : public testing::Test {
 protected:
  // A check's round trip by the first of three hosts.
  void Make(const std::string& key_id) {
    records_.Encrypted(key_id, Plain("seed"), {key_id, {}}, 0);
    records_.Decrypted(key_id, {key_id, {}}, Plain("seed"), 0);
  }
  // Of which key is the record for that key?
  std::string For(const std::string& key_id) const {
    const HostRecordPtr record = records_.For(key_id);
    return record == nullptr ? "(none)" : record->key_id;
  }

  HostRecords records_{3};
};

TEST_F(HostRecordsTest, CountsFromWhenItWasDecrypted) {
  records_.Encrypted("key", Plain("seed"), {"bytes", {{"iv", "1"}}}, 0);
  EXPECT_TRUE(records_.empty());
  EXPECT_TRUE(records_.Reads(records_.For("key"), 2)) << "without a record all are free";
  EXPECT_FALSE(records_.Decrypted("key", {"bytes", {{"iv", "1"}}}, Plain("tree"), 1));
  EXPECT_FALSE(records_.Decrypted("key", {"bytes", {{"iv", "2"}}}, Plain("seed"), 1));
  EXPECT_FALSE(records_.Decrypted("key", {"other", {{"iv", "1"}}}, Plain("seed"), 1));
  EXPECT_FALSE(records_.Decrypted("other", {"bytes", {{"iv", "1"}}}, Plain("seed"), 1));
  EXPECT_TRUE(records_.empty());
  EXPECT_TRUE(records_.Decrypted("key", {"bytes", {{"iv", "1"}}}, Plain("seed"), 1));
  const HostRecordPtr record = records_.Newest();
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->maker, 0u);
  EXPECT_TRUE(record->plaintext.Equals(Plain("seed")));
  EXPECT_TRUE(records_.Reads(record, 0)) << "who made it";
  EXPECT_TRUE(records_.Reads(record, 1)) << "who decrypted it";
  EXPECT_FALSE(records_.Reads(record, 2));
  EXPECT_FALSE(records_.Decrypted("key", {"bytes", {{"iv", "1"}}}, Plain("seed"), 2)) << "no news";
  EXPECT_TRUE(records_.Reads(record, 2));
}

TEST_F(HostRecordsTest, StaysWhenAnotherCheckEncrypts) {
  Make("key");
  records_.Encrypted("key", Plain("tree"), {"bytes", {}}, 1);
  EXPECT_FALSE(records_.Reads(records_.For("key"), 1));
  EXPECT_EQ(records_.For("key")->ciphertext.bytes, "key");
}

TEST_F(HostRecordsTest, IsReplacedWhileNobodyHasDecryptedIt) {
  records_.Encrypted("key", Plain("tree"), {"wrong", {}}, 1);
  Make("key");
  EXPECT_EQ(records_.For("key")->ciphertext.bytes, "key");
  EXPECT_FALSE(records_.Reads(records_.For("key"), 1));
}

TEST_F(HostRecordsTest, AKeyWithoutOneHasThatOfTheKeyCheckedLast) {
  EXPECT_EQ(For("key 1"), "(none)");
  Make("key 1");
  Make("key 2");
  EXPECT_EQ(For("key 1"), "key 1");
  EXPECT_EQ(For("key 2"), "key 2");
  EXPECT_EQ(For("key 3"), "key 2");
  Make("key 1");  // checked once more
  EXPECT_EQ(For("key 3"), "key 1");
  EXPECT_EQ(For(""), "key 1");
}

TEST_F(HostRecordsTest, ThoseOfTheLastKeysAreKept) {
  for (std::size_t i = 0; i < HostRecords::kMostKeys; ++i) Make(absl::StrCat(i));
  Make("0");
  Make("one more");
  EXPECT_EQ(For("0"), "0");
  EXPECT_EQ(For("1"), "one more");
  EXPECT_EQ(For("2"), "2");
}

TEST_F(HostRecordsTest, TrustIsLostByARefusalOfThatOneOrByGoingAway) {
  Make("key 1");
  Make("key 2");
  const HostRecordPtr first = records_.For("key 1");
  const HostRecordPtr second = records_.For("key 2");
  records_.Refused(first, 0);
  EXPECT_FALSE(records_.Reads(first, 0));
  EXPECT_TRUE(records_.Reads(second, 0));
  records_.Forget(0);
  EXPECT_FALSE(records_.Reads(second, 0));
  records_.Drop(second);
  EXPECT_EQ(For("key 2"), "key 1");
  EXPECT_FALSE(records_.Reads(second, 0));
  records_.Drop(first);
  EXPECT_TRUE(records_.empty());
}

}  // namespace
}  // namespace okms
