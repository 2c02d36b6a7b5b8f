// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// KMIP servers of all ages and habits.

#include <string>

#include "integration/plugin_test.h"
#include "mock_kms/aes_gcm.h"

namespace okms::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

constexpr char kIv[] = "iv.okms.ovh.com";

class VersionsTest : public PluginTest {
 protected:
  // A round trip whose record has the stored form, whatever was spoken.
  void ExpectStoredForm() {
    const std::string plaintext = NewPlaintext();
    const auto record = client().Encrypt(plaintext);
    ASSERT_THAT(record, IsOk());
    EXPECT_THAT(record->ciphertext, SizeIs(48));
    const auto back = client().Decrypt(*record);
    ASSERT_THAT(back, IsOk());
    EXPECT_TRUE(*back == plaintext);
    const ByteView all = AsBytes(record->ciphertext);
    const auto opened = GcmDecrypt(AsBytes(key_.material), AsBytes(record->annotations.at(kIv)), {},
                                   all.first(32), all.last(16));
    EXPECT_TRUE(opened && *opened == plaintext);
  }
};

TEST_F(VersionsTest, TheHighestIsUsedWhateverTheOrder) {
  // Below 1.4 this server loses the tag, so only 1.4 can work.
  StartKms({.versions = {{1, 1}, {1, 2}, {1, 4}}, .tag_below_1_4 = TagBelow14::kDropped});
  StartReady();
  ExpectStoredForm();
}

TEST_F(VersionsTest, AServerThatDoesNotHearTheFirstHeader) {
  StartKms({.versions = {{1, 2}, {1, 4}}, .tag_below_1_4 = TagBelow14::kDropped});
  StartReady();
  ExpectStoredForm();
}

TEST_F(VersionsTest, OnlyTheLatest) {
  StartKms({.versions = {{1, 4}}});
  StartReady();
  ExpectStoredForm();
}

TEST_F(VersionsTest, NewerOnesAreLeftAlone) {
  StartKms({.versions = {{3, 0}, {2, 1}, {2, 0}, {1, 4}, {1, 1}}});
  StartReady();
  ExpectStoredForm();
}

// The tag below 1.4.
struct Old {
  int minor;
  TagBelow14 tag;
  const char* name;
};

class TagBelow14Test : public VersionsTest, public testing::WithParamInterface<Old> {};

TEST_P(TagBelow14Test, IsFoundAndGivenBack) {
  StartKms({.versions = {{1, GetParam().minor}}, .tag_below_1_4 = GetParam().tag});
  StartReady();
  ExpectStoredForm();
}

TEST_P(TagBelow14Test, IsTriedEitherWayWhenTheFirstCallIsADecrypt) {
  // Encrypted elsewhere, and the first thing that this plugin is asked for.
  const std::string plaintext = NewPlaintext();
  const std::string iv = NewPlaintext(12);
  const auto sealed =
      GcmEncrypt(AsBytes(key_.material), AsBytes(iv), {}, AsBytes(plaintext), 16).value();
  StartKms({.versions = {{1, GetParam().minor}}, .tag_below_1_4 = GetParam().tag});
  SetFault("refuse=GeneralFailure:Encrypt");  // so that no Encrypt shows the place of the tag
  StartPlugin();
  const auto back = client().Decrypt({sealed.data + sealed.tag, "key-1", {{kIv, iv}}});
  ASSERT_THAT(back, IsOk());
  EXPECT_TRUE(*back == plaintext);
}

INSTANTIATE_TEST_SUITE_P(Place, TagBelow14Test,
                         testing::Values(Old{2, TagBelow14::kInData, "in_data_1_2"},
                                         Old{2, TagBelow14::kInField, "in_field_1_2"},
                                         Old{3, TagBelow14::kInData, "in_data_1_3"},
                                         Old{3, TagBelow14::kInField, "in_field_1_3"}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_F(VersionsTest, AServerThatLosesTheTagIsRefused) {
  for (const int minor : {2, 3}) {
    SCOPED_TRACE(minor);
    StartKms({.versions = {{1, minor}, {1, 1}}, .tag_below_1_4 = TagBelow14::kDropped});
    StartPlugin();
    const auto said = AllOf(
        HasSubstr("the KMS returned 32 bytes for 32"), HasSubstr("with the GCM tag it must be 48"),
        HasSubstr("Nothing was stored"), HasSubstr(absl::StrCat("KMIP 1.", minor)));
    EXPECT_THAT(client().Status(), StatusIs(Code::kDataLoss, said));
    EXPECT_THAT(client().Encrypt(NewPlaintext()), StatusIs(Code::kDataLoss, said));
    ASSERT_EQ(StopPlugin(), 0);
    StopKms();
  }
}

TEST_F(VersionsTest, OlderOnesWithEncryptAsAnExtension) {
  for (const int minor : {1, 0}) {
    SCOPED_TRACE(minor);
    StartKms({.versions = {{1, minor}}, .cryptography_below_1_2 = true});
    StartReady();
    ExpectStoredForm();
    ASSERT_EQ(StopPlugin(), 0);
    StopKms();
  }
}

TEST_F(VersionsTest, Only11WithoutEncryptIsRefusedWithTheReason) {
  StartKms({.versions = {{1, 1}, {1, 0}}});
  StartPlugin();
  EXPECT_THAT(
      client().Status(),
      StatusIs(
          Code::kFailedPrecondition,
          "key key-1: the KMS speaks at most KMIP 1.1 and has no Encrypt; KMIP 1.2 or later is "
          "needed"));
}

TEST_F(VersionsTest, Only10WithoutEncryptIsRefusedWithTheReason) {
  StartKms({.versions = {{1, 0}}});
  StartPlugin();
  EXPECT_THAT(
      client().Status(),
      StatusIs(
          Code::kFailedPrecondition,
          "key key-1: the KMS speaks at most KMIP 1.0 and has no Encrypt; KMIP 1.2 or later is "
          "needed"));
}

TEST_F(VersionsTest, AnUpgradedServerIsUsedAtItsNewVersion) {
  StartKms({.versions = {{1, 1}}});
  StartPlugin();
  ASSERT_THAT(client().Status(), StatusIs(Code::kFailedPrecondition, HasSubstr("KMIP 1.1")));
  StopKms();
  StartKms({.versions = {{1, 4}}});
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectStoredForm();
}

TEST_F(VersionsTest, HiddenAttributesAreReplacedByTheRoundTrip) {
  // OVHcloud's documented rights are encrypt, decrypt and locate only.
  StartKms({.show_attributes = false});
  StartReady();
  ExpectStoredForm();
  // What the attributes cannot tell, the round trip of each check does.
  SetKeyState(kmip::State::kDeactivated);
  EXPECT_THAT(client().Encrypt(NewPlaintext()),
              StatusIs(Code::kPermissionDenied, HasSubstr("the object is Deactivated")));
  EXPECT_THAT(
      AwaitStatus(Code::kPermissionDenied),
      StatusIs(Code::kPermissionDenied,
               HasSubstr("KMIP Encrypt refused: PermissionDenied: the object is Deactivated")));
}

TEST_F(VersionsTest, HiddenAttributesAndALabel) {
  UseLabel("kek");
  StartKms({.show_attributes = false});
  StartReady();
  ExpectStoredForm();
}

TEST_F(VersionsTest, TheIvOfTheServerIsTheOneThatIsStored) {
  StartKms({.own_iv = true});
  StartReady();
  ExpectStoredForm();  // opens the ciphertext with the stored IV
}

}  // namespace
}  // namespace okms::test
