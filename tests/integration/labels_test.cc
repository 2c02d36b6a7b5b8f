// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The key by its label (KMIP Name).

#include <string>

#include "integration/plugin_test.h"

namespace okms::test {
namespace {

using testing::HasSubstr;

// A check of a key that works comes every 10 seconds.
constexpr std::chrono::seconds kTwoChecks{30};

class LabelsTest : public PluginTest {
 protected:
  LabelsTest() {
    UseLabel("kek");
    StartKms();
  }
  void Put(const std::string& key) { kms().handler().Put(Must(ParseMockKey(key))); }
  // A failed call makes the key suspect, so the next check comes at once.
  void PromptCheck() {
    SetFault("refuse=GeneralFailure:Encrypt:1");
    EXPECT_THAT(client().Encrypt(NewPlaintext()), StatusIs(Code::kInternal, HasSubstr("told to")));
  }
};

TEST_F(LabelsTest, NoneFits) {
  UseLabel("other");
  StartPlugin();
  EXPECT_THAT(client().Status(),
              StatusIs(Code::kNotFound,
                       "no active symmetric key has the label \"other\", or this "
                       "client may not see it"));
  Put("id=key-2,name=other");
  EXPECT_TRUE(AwaitKey("key-2"));
}

TEST_F(LabelsTest, TwoFitAndBothAreNamed) {
  Put("id=key-2,name=kek");
  StartPlugin();
  EXPECT_THAT(
      client().Status(),
      StatusIs(Code::kFailedPrecondition,
               "the label \"kek\" fits 2 active keys (key-1, key-2); rename all but one, or "
               "name the key by its id"));
  EXPECT_THAT(client().Encrypt(NewPlaintext()),
              StatusIs(Code::kFailedPrecondition, HasSubstr("fits 2 active keys")));
  Put("id=key-1,name=retired");
  EXPECT_TRUE(AwaitKey("key-2"));
}

TEST_F(LabelsTest, OneOfTwoIsDeactivated) {
  Put("id=key-0,name=kek,state=Deactivated");
  Put("id=key-2,name=kek,state=PreActive");
  StartPlugin();
  EXPECT_TRUE(AwaitKey("key-1"));
  ExpectRoundTrip();
}

TEST_F(LabelsTest, OneOfTwoIsNoSymmetricKey) {
  MockKey certificate = Must(ParseMockKey("id=key-0,name=kek"));
  certificate.object_type = kmip::ObjectType::kCertificate;
  kms().handler().Put(certificate);
  StartPlugin();
  EXPECT_TRUE(AwaitKey("key-1"));
}

TEST_F(LabelsTest, AMovedLabelIsFollowedByItselfAndOldRecordsStayReadable) {
  StartReady();
  const std::string plaintext = NewPlaintext();
  const auto old_record = client().Encrypt(plaintext);
  ASSERT_THAT(old_record, IsOk());
  ASSERT_EQ(old_record->key_id, "key-1");

  key_.name = "retired";
  kms().handler().Put(key_);
  Put("id=key-2,name=kek");
  ASSERT_TRUE(AwaitKey("key-2", kTwoChecks));
  EXPECT_TRUE(plugin().WaitForLine(
      "notice: the key's name leads to key key-2 now, which is being proven; key key-1 stays in "
      "use"))
      << plugin().Err();
  EXPECT_TRUE(
      plugin().WaitForLine("notice: ready: key key-2 encrypts and decrypts; it replaces key key-1"))
      << plugin().Err();

  const auto new_record = client().Encrypt(NewPlaintext());
  ASSERT_THAT(new_record, IsOk());
  EXPECT_EQ(new_record->key_id, "key-2");
  const auto back = client().Decrypt(*old_record);
  ASSERT_THAT(back, IsOk());
  EXPECT_TRUE(*back == plaintext);
}

TEST_F(LabelsTest, AnAmbiguousLabelIsSaidAndTheKeyInUseStays) {
  StartReady();
  Put("id=key-2,name=kek");
  PromptCheck();
  EXPECT_TRUE(plugin().WaitForLine(
      "error: trouble with the key's name: the label \"kek\" fits 2 active keys (key-1, key-2); "
      "rename all but one, or name the key by its id; key key-1 stays in use for a while "
      "(--label-grace)"))
      << plugin().Err();
  EXPECT_THAT(client().Status(), IsOk());
  const auto record = client().Encrypt(NewPlaintext());
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(record->key_id, "key-1");
  Put("id=key-2,name=other");
  EXPECT_TRUE(plugin().WaitForLine("notice: the key's name leads to key key-1 again"));
}

TEST_F(LabelsTest, ALabelThatFitsNoKeyIsAnErrorWhenItsGraceIsOver) {
  flags_["--label-grace"] = "1s";
  StartReady();
  key_.name = "renamed";
  kms().handler().Put(key_);
  PromptCheck();
  EXPECT_THAT(AwaitStatus(Code::kNotFound), StatusIs(Code::kNotFound, HasSubstr("\"kek\"")));
  const auto record = client().Encrypt(NewPlaintext());  // the key itself works
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(record->key_id, "key-1");
  key_.name = "kek";
  kms().handler().Put(key_);
  EXPECT_TRUE(AwaitKey("key-1"));
}

TEST_F(LabelsTest, ANewKeyThatDoesNotWorkIsNotAdopted) {
  StartReady();
  key_.name = "retired";
  kms().handler().Put(key_);
  Put("id=key-2,name=kek,usage=encrypt");
  PromptCheck();
  EXPECT_TRUE(plugin().WaitForLine(
      "error: trouble with the key's name: key key-2 may not Decrypt by its usage mask; key key-1 "
      "stays in use"))
      << plugin().Err();
  EXPECT_THAT(client().Status(), IsOk());
  const auto record = client().Encrypt(NewPlaintext());
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(record->key_id, "key-1");
  EXPECT_THAT(client().Decrypt(*record), IsOk());
}

// A search that ignores the name gives any key: under none of them may anything be encrypted.
TEST_F(LabelsTest, AServerThatIgnoresTheNameIsNotBelieved) {
  StopKms();
  key_.name = "kms-master-kek";
  StartKms({.ignore_name = true});
  StartPlugin();
  const std::string reason = "key key-1 has the label \"kms-master-kek\", not \"kek\"";
  EXPECT_THAT(client().Status(), StatusIs(Code::kFailedPrecondition, reason));
  EXPECT_THAT(client().Encrypt(NewPlaintext()), StatusIs(Code::kFailedPrecondition, reason));
  Put("id=key-2,name=kek");
  EXPECT_TRUE(AwaitKey("key-2"));
}

TEST_F(LabelsTest, AServerThatCannotSearchByState) {
  StartReady();
  ASSERT_EQ(StopPlugin(), 0);
  SetFault("refuse=InvalidField:Locate:1");  // then by the name alone
  StartPlugin();
  EXPECT_TRUE(AwaitKey("key-1"));
}

TEST_F(LabelsTest, WithUnusualBytes) {
  const std::string label = "kek \xC3\xA9\xE2\x82\xAC \"quoted\"";
  key_.name = label;
  kms().handler().Put(key_);
  UseLabel(label);
  StartPlugin();
  EXPECT_TRUE(AwaitKey("key-1"));
}

}  // namespace
}  // namespace okms::test
