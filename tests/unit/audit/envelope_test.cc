// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/envelope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "unit/audit/values.h"

namespace okms::audit {
namespace {

using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

const std::string kData(32 + 12 + 16, 'd');

TEST(EnvelopeTest, KnowsWhoWroteIt) {
  const std::string gcm(12 + 16, 'd');
  struct Case {
    std::string value;
    Kind kind;
    std::string name;
  };
  const std::vector<Case> cases{
      {KmsV2("k", "seed"), Kind::kKmsV2, "okms"},
      {std::string("k8s:enc:kms:v1:old:\0\3abc", 24) + gcm, Kind::kKmsV1, "old"},
      {"k8s:enc:aescbc:v1:key1:" + std::string(32, 'd'), Kind::kAesCbc, "key1"},
      {"k8s:enc:aesgcm:v1:key2:" + gcm, Kind::kAesGcm, "key2"},
      {"k8s:enc:secretbox:v1:key3:" + std::string(40, 'd'), Kind::kSecretbox, "key3"},
      {"k8s:enc:kms:v3:new:data", Kind::kUnknownProvider, "k8s:enc:kms:v3:new:"},
      {"k8s:enc:future:v1:key1:secret", Kind::kUnknownProvider, "k8s:enc:future:v1:key1:"},
      {"k8s:enc:", Kind::kUnknownProvider, "k8s:enc:"},
      {std::string("k8s:enc:a\0b:", 12), Kind::kUnknownProvider, "k8s:enc:"},
      {Protobuf(1), Kind::kProtobuf, ""},
      {std::string("k8s\0", 4), Kind::kProtobuf, ""},
      {"{\"kind\":\"Secret\"}", Kind::kJson, ""},
      {"\xd9\xd9\xf7\xa0", Kind::kCbor, ""},
      {"", Kind::kUnknown, "(empty)"},
      {"k8s", Kind::kUnknown, "k8s"},
      {"k8s:", Kind::kUnknown, "k8s:"},
      {"k8s:en", Kind::kUnknown, "k8s:"},
      {"p\n\xff\x01ssword", Kind::kUnknown, "p\\n\\xff\\x01"},
  };
  for (const Case& one : cases) {
    const Envelope envelope = ReadEnvelope(one.value);
    EXPECT_EQ(envelope.kind, one.kind) << one.value;
    EXPECT_EQ(envelope.name, one.name) << one.value;
    EXPECT_EQ(envelope.wrong, "") << one.value;
    EXPECT_NE(ToString(envelope.kind), "");
  }
}

TEST(EnvelopeTest, ReadsWhatDecryptNeeds) {
  const std::string value =
      KmsV2("key-1", "sealed") + Annotation("b.example", "2") + Annotation("a.example", "1");
  const Envelope envelope = ReadEnvelope(value);
  EXPECT_EQ(envelope.key_id, "key-1");
  EXPECT_EQ(envelope.encrypted_dek, "sealed");
  EXPECT_EQ(envelope.dek_source, DekSource::kHkdfSeed);
  EXPECT_THAT(envelope.annotations,
              UnorderedElementsAre(Pair("a.example", "1"), Pair("b.example", "2")));
  ASSERT_TRUE(envelope.seed);
}

TEST(EnvelopeTest, EqualSeedsAreOne) {
  const auto seed = [](const std::string& value) { return ReadEnvelope(value).seed; };
  const std::string value = KmsV2("key", "seed") + Annotation("a.b", "1") + Annotation("c.d", "2");
  // Maps have no order, nor does it matter what an object's own data are.
  EXPECT_EQ(seed(value), seed("k8s:enc:kms:v2:okms:" + Annotation("c.d", "2") + VarintField(5, 1) +
                              Annotation("a.b", "1") + BytesField(3, "seed") +
                              BytesField(2, "key") + BytesField(1, std::string(100, 'x'))));
  for (const std::string& other :
       {KmsV2("key", "seed"),
        KmsV2("keys", "eed") + Annotation("a.b", "1") + Annotation("c.d", "2"),
        KmsV2("key", "seed") + Annotation("a.b", "2") + Annotation("c.d", "1"),
        KmsV2("key", "seed") + Annotation("a.b", "1") + Annotation("c.d", "2") +
            VarintField(5, 0)}) {
    ASSERT_TRUE(seed(other));
    EXPECT_NE(seed(value), seed(other));
  }
}

TEST(EnvelopeTest, ToleratesWhatTheApiserverTolerates) {
  const std::string unknown = BytesField(9, "new") + VarintField(10, 7) +
                              std::string("\x5d\1\2\3\4", 5) +          // 11, fixed32
                              std::string("\x61\1\2\3\4\5\6\7\10", 9);  // 12, fixed64
  const Envelope envelope = ReadEnvelope(KmsV2("key", "seed") + unknown);
  EXPECT_EQ(envelope.kind, Kind::kKmsV2) << envelope.wrong;
  // The last of a field counts.
  const std::string twice = KmsV2("key", "seed") + BytesField(2, "other");
  EXPECT_EQ(ReadEnvelope(twice).key_id, "other");
  // A field of another type is one that is not known.
  const std::string typed = KmsV2("key", "seed") + VarintField(2, 1) + BytesField(5, "x");
  EXPECT_EQ(ReadEnvelope(typed).key_id, "key");
  const std::string large =
      "k8s:enc:kms:v2:p:" + BytesField(1, std::string(1 << 20, 'd')) + EncryptedObject("k", "s");
  EXPECT_EQ(ReadEnvelope(large).kind, Kind::kKmsV2);
}

TEST(EnvelopeTest, SaysWhatIsMalformed) {
  const std::string head = "k8s:enc:kms:v2:okms:";
  const std::string seed = BytesField(3, "s");
  const std::string data = BytesField(1, kData) + VarintField(5, 1);
  struct Case {
    std::string value;
    std::string name;
    std::string wrong;
  };
  const std::vector<Case> cases{
      {"k8s:enc:kms:v2:", "k8s:enc:kms:v2:", "no end"},
      {"k8s:enc:kms:v2::" + EncryptedObject("k", "s"), "k8s:enc:kms:v2:", "no name"},
      {"k8s:enc:kms:v2:" + std::string(2000, 'n') + ":", "k8s:enc:kms:v2:", "no end"},
      {head, head, "no key id"},
      {head + data + seed, head, "no key id"},
      {head + data + BytesField(2, "k"), head, "no encrypted seed"},
      {head + data + seed + BytesField(2, "\xff"), head, "no text"},
      {head + data + seed + BytesField(2, std::string(1025, 'k')), head, "key id is too long"},
      {head + data + BytesField(2, "k") + BytesField(3, std::string(1025, 's')), head, "too long"},
      {head + EncryptedObject("k", "s") + VarintField(5, 2), head, "unknown type"},
      {head + BytesField(1, "short") + BytesField(2, "k") + seed, head, "data is cut"},
      {head + BytesField(1, kData.substr(1)) + BytesField(2, "k") + seed + VarintField(5, 1), head,
       "data is cut"},
      {head + EncryptedObject("k", "s") + BytesField(4, "\x0a"), head, "annotation"},
      {head + EncryptedObject("k", "s") + Annotation("\xff", ""), head, "annotation"},
      {head + EncryptedObject("k", "s") + std::string("\0", 1), head, "damaged"},
      {head + EncryptedObject("k", "s") + "\x0c", head, "damaged"},  // the end of no group
      {head + "\x0a\xff\xff\xff\xff\x0f", head, "damaged"},
      {std::string("k8s:enc:kms:v1:p:\0", 18), "k8s:enc:kms:v1:p:", "cut"},
      {std::string("k8s:enc:kms:v1:p:\0\0", 19) + kData, "k8s:enc:kms:v1:p:", "no encrypted key"},
      {"k8s:enc:kms:v1:p:\xff\xff" + kData, "k8s:enc:kms:v1:p:", "cut"},
      {"k8s:enc:aescbc:v1:k:" + std::string(33, 'd'), "k8s:enc:aescbc:v1:k:", "cut"},
      {"k8s:enc:aescbc:v1:k:" + std::string(16, 'd'), "k8s:enc:aescbc:v1:k:", "cut"},
      {"k8s:enc:aesgcm:v1:k:" + std::string(27, 'd'), "k8s:enc:aesgcm:v1:k:", "cut"},
      {"k8s:enc:secretbox:v1:k:" + std::string(39, 'd'), "k8s:enc:secretbox:v1:k:", "cut"},
  };
  for (const Case& one : cases) {
    const Envelope envelope = ReadEnvelope(one.value);
    EXPECT_EQ(envelope.kind, Kind::kMalformed) << one.wrong;
    EXPECT_EQ(envelope.name, one.name);
    EXPECT_THAT(envelope.wrong, HasSubstr(one.wrong));
    EXPECT_FALSE(envelope.seed);
    EXPECT_EQ(envelope.key_id, "") << "it would be taken for one that is needed";
  }
}

TEST(EnvelopeTest, IsMalformedWhereverItIsCut) {
  const std::string whole = KmsV2("key", "seed");
  for (std::size_t size = std::string("k8s:enc:kms:v2:").size(); size < whole.size(); ++size) {
    const Kind kind = ReadEnvelope(whole.substr(0, size)).kind;
    // Without its last field, the type, it is a key's.
    if (size == whole.size() - 2) {
      EXPECT_EQ(kind, Kind::kKmsV2);
    } else {
      EXPECT_EQ(kind, Kind::kMalformed) << size;
    }
  }
}

TEST(EnvelopeTest, NamesAreHarmless) {
  const Envelope envelope = ReadEnvelope("k8s:enc:aesgcm:v1:a\x1b[31m\n:" + kData);
  EXPECT_EQ(envelope.kind, Kind::kAesGcm);
  EXPECT_EQ(envelope.name, "a?[31m?");
}

}  // namespace
}  // namespace okms::audit
