// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Stored records: those that the Go plugin has written are read, and those that cannot be right are
// refused with the reason.

#include "absl/strings/escaping.h"
#include "integration/plugin_test.h"

namespace okms::test {
namespace {

constexpr char kIv[] = "iv.okms.ovh.com";
constexpr char kAlgorithm[] = "alg.okms.ovh.com";

class RecordsTest : public PluginTest {
 protected:
  RecordsTest() {
    // A record of the Go plugin with kmip-go 0.7.2, and its key.
    key_ = Must(ParseMockKey(
        "id=5,material=758fae78787d704f6a6df62fffe2042ce339e92dae8a552cae4a52592f4025c0"));
    record_ = {
        absl::HexStringToBytes("5aee5b8a644d9ec2184256fbe0c53f0f8249f037a3625559048931c74753c4d9"
                               "22dc07772cd92bec61137b190e0ee222"),
        "5",
        {{kIv, absl::HexStringToBytes("0aedbc5ed146d1c45a5488f6")}, {kAlgorithm, "AES_GCM"}}};
    flags_["--encryption-key-id"] = "5";
    StartKms();
    StartReady();
  }

  void ExpectRefused(Code code, const std::string& message) {
    EXPECT_THAT(client().Decrypt(record_), StatusIs(code, message));
    ExpectRoundTrip();
    EXPECT_THAT(client().Status(), IsOk());
  }

  Record record_;
};

TEST_F(RecordsTest, OfTheGoPluginIsDecrypted) {
  const auto plaintext = client().Decrypt(record_);
  ASSERT_THAT(plaintext, IsOk());
  EXPECT_EQ(*plaintext, "0123456789abcdef0123456789abcdef");
}

TEST_F(RecordsTest, WithoutAlgorithmIsAesGcm) {
  record_.annotations.erase(kAlgorithm);
  const auto plaintext = client().Decrypt(record_);
  ASSERT_THAT(plaintext, IsOk());
  EXPECT_EQ(*plaintext, "0123456789abcdef0123456789abcdef");
}

TEST_F(RecordsTest, StaysReadableUnderAnotherCurrentKey) {
  MockKey other = Must(ParseMockKey("id=6"));
  kms().handler().Put(other);
  flags_["--encryption-key-id"] = "6";
  ASSERT_EQ(StopPlugin(), 0);
  StartReady();
  const auto plaintext = client().Decrypt(record_);
  ASSERT_THAT(plaintext, IsOk());
  EXPECT_EQ(*plaintext, "0123456789abcdef0123456789abcdef");
}

TEST_F(RecordsTest, WithAnotherAlgorithm) {
  record_.annotations[kAlgorithm] = "AES_CBC";
  ExpectRefused(Code::kInvalidArgument,
                "annotation alg.okms.ovh.com is \"AES_CBC\"; only AES_GCM is supported");
}

TEST_F(RecordsTest, WithAnUnknownAnnotation) {
  record_.annotations["aad.okms.ovh.com"] = "x";
  ExpectRefused(
      Code::kInvalidArgument,
      "unknown annotation \"aad.okms.ovh.com\"; this record is not of this plugin, or of a "
      "later version");
}

TEST_F(RecordsTest, WithoutAnIv) {
  record_.annotations.erase(kIv);
  ExpectRefused(Code::kInvalidArgument, "annotation iv.okms.ovh.com is missing");
}

TEST_F(RecordsTest, WithAnIvOf11Bytes) {
  record_.annotations[kIv].pop_back();
  ExpectRefused(Code::kInvalidArgument, "annotation iv.okms.ovh.com has 11 bytes; an IV has 12");
}

TEST_F(RecordsTest, OfNothingButATag) {
  record_.ciphertext.resize(16);
  ExpectRefused(Code::kInvalidArgument,
                "the ciphertext has 16 bytes; AES-GCM with its tag has at least 17");
}

TEST_F(RecordsTest, OfFiveBytes) {  // the Go plugin died of this
  record_.ciphertext.resize(5);
  ExpectRefused(Code::kInvalidArgument,
                "the ciphertext has 5 bytes; AES-GCM with its tag has at least 17");
}

TEST_F(RecordsTest, WithoutACiphertext) {
  record_.ciphertext.clear();
  ExpectRefused(Code::kInvalidArgument, "the ciphertext is empty");
}

TEST_F(RecordsTest, WithACiphertextThatKubernetesWouldNotStore) {
  record_.ciphertext.resize(1025);
  ExpectRefused(Code::kInvalidArgument, "the ciphertext has 1025 bytes; the limit is 1024");
}

TEST_F(RecordsTest, WithoutAKeyId) {
  record_.key_id.clear();
  ExpectRefused(Code::kInvalidArgument, "the key id is empty");
}

TEST_F(RecordsTest, WithAKeyIdThatKubernetesWouldNotStore) {
  record_.key_id.resize(1025, '5');
  ExpectRefused(Code::kInvalidArgument, "the key id has 1025 bytes; the limit is 1024");
}

TEST_F(RecordsTest, WithTooManyAnnotations) {
  record_.annotations["x.okms.ovh.com"] = std::string(40'000, 'x');
  ExpectRefused(Code::kInvalidArgument, "the annotations have 40064 bytes; the limit is 32768");
}

TEST_F(RecordsTest, OfAnUnknownKey) {
  record_.key_id = "7";
  ExpectRefused(Code::kNotFound, "KMIP Decrypt refused: ItemNotFound: no object 7");
}

TEST_F(RecordsTest, WithOneBitFlipped) {
  for (const std::size_t where :
       {std::size_t{0}, std::size_t{31}, std::size_t{32}, std::size_t{47}}) {
    Record flipped = record_;
    flipped.ciphertext[where] = static_cast<char>(flipped.ciphertext[where] ^ 1);
    EXPECT_THAT(client().Decrypt(flipped),
                StatusIs(Code::kInvalidArgument,
                         "KMIP Decrypt refused: CryptographicFailure: the tag does not fit"))
        << where;
  }
  EXPECT_THAT(client().Decrypt(record_), IsOk());
  EXPECT_THAT(client().Status(), IsOk());
}

TEST_F(RecordsTest, WithAnotherIv) {
  record_.annotations[kIv][0] ^= 1;
  ExpectRefused(Code::kInvalidArgument,
                "KMIP Decrypt refused: CryptographicFailure: the tag does not fit");
}

}  // namespace
}  // namespace okms::test
