// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/limits.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"

namespace okms {
namespace {

using test::IsOk;
using test::StatusIs;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr auto kInvalidArgument = absl::StatusCode::kInvalidArgument;

std::string Text(std::size_t size) { return std::string(size, 'x'); }

TEST(Limits, AreThoseOfTheApiserver) {
  EXPECT_EQ(kMaxKeyIdSize, 1024u);
  EXPECT_EQ(kMaxCiphertextSize, 1024u);
  EXPECT_EQ(kMaxAnnotationsSize, 32768u);
  EXPECT_EQ(kMaxPlaintextSize, 1008u);
}

TEST(CheckKeyId, BetweenOneByteAndTheLimit) {
  EXPECT_THAT(CheckKeyId("5"), IsOk());
  EXPECT_THAT(CheckKeyId(Text(1024)), IsOk());
  EXPECT_THAT(CheckKeyId(""),
              StatusIs(absl::StatusCode::kFailedPrecondition, "the key id is empty"));
  EXPECT_THAT(CheckKeyId(Text(1025)),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "the key id has 1025 bytes; kube-apiserver takes at most 1024"));
}

TEST(CheckKeyId, OneThatCanBeAnswered) {
  EXPECT_THAT(CheckKeyId("cl\xc3\xa9"), IsOk());
  EXPECT_THAT(CheckKeyId("key-\xff"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "the key id \"key-?\" is no UTF-8; use another key"));
}

TEST(CheckPlaintext, BetweenOneByteAndTheLimit) {
  EXPECT_THAT(CheckPlaintext(1), IsOk());
  EXPECT_THAT(CheckPlaintext(1008), IsOk());
  EXPECT_THAT(CheckPlaintext(0), StatusIs(kInvalidArgument, "the plaintext is empty"));
  EXPECT_THAT(CheckPlaintext(1009),
              StatusIs(kInvalidArgument, "the plaintext has 1009 bytes; the limit is 1008"));
}

TEST(CheckEncrypted, CiphertextBetweenOneByteAndTheLimit) {
  EXPECT_THAT(CheckEncrypted({Text(1), {}}), IsOk());
  EXPECT_THAT(CheckEncrypted({Text(1024), {}}), IsOk());
  EXPECT_THAT(CheckEncrypted({"", {}}),
              StatusIs(kDataLoss, "the KMS returned an empty ciphertext"));
  EXPECT_THAT(CheckEncrypted({Text(1025), {}}),
              StatusIs(kDataLoss,
                       "the KMS returned a ciphertext of 1025 bytes; kube-apiserver "
                       "takes at most 1024"));
}

TEST(CheckEncrypted, AnnotationsCountNamesAndValues) {
  const std::string name = "iv.okms.ovh.com";  // 15 bytes
  EXPECT_THAT(CheckEncrypted({"c", {{name, Text(32768 - 15)}}}), IsOk());
  EXPECT_THAT(
      CheckEncrypted({"c", {{name, Text(32768 - 14)}}}),
      StatusIs(kDataLoss, "the annotations have 32769 bytes; kube-apiserver takes at most 32768"));
  EXPECT_THAT(
      CheckEncrypted({"c", {{"a.b", Text(32768 - 15)}, {"c.d", Text(10)}}}),
      StatusIs(kDataLoss, "the annotations have 32769 bytes; kube-apiserver takes at most 32768"));
}

TEST(CheckEncrypted, AnnotationNamesAreFullyQualifiedDomainNames) {
  for (const std::string& name :
       {std::string("iv.okms.ovh.com"), std::string("a.b"), std::string("0.1"),
        std::string("a-b.c-d"), Text(63) + "." + Text(63)}) {
    EXPECT_THAT(CheckEncrypted({"c", {{name, ""}}}), IsOk()) << name;
  }
  for (const std::string& name :
       {std::string(""), std::string("iv"), std::string("."), std::string("a."), std::string(".a"),
        std::string("a..b"), std::string("IV.ovh.com"), std::string("a_b.com"),
        std::string("-a.com"), std::string("a-.com"), std::string("a b.com"), Text(64) + ".com"}) {
    EXPECT_THAT(CheckEncrypted({"c", {{name, ""}}}),
                StatusIs(kDataLoss, absl::StrCat("annotation \"", name,
                                                 "\" is no fully qualified domain name")));
  }
}

TEST(CheckEncrypted, AnnotationNamesHaveAtMost253Bytes) {
  const std::string label = Text(61) + ".";  // 62 bytes
  const std::string longest = label + label + label + label + "12345";
  ASSERT_EQ(longest.size(), 253u);
  EXPECT_THAT(CheckEncrypted({"c", {{longest, ""}}}), IsOk());
  EXPECT_EQ(CheckEncrypted({"c", {{longest + "6", ""}}}).code(), kDataLoss);
}

TEST(CheckDecryptRequest, EachPartHasItsLimit) {
  const Ciphertext good{"c", {{"any name", "v"}}};
  EXPECT_THAT(CheckDecryptRequest("5", good), IsOk());
  EXPECT_THAT(CheckDecryptRequest(Text(1024), {Text(1024), {{"n", Text(32767)}}}), IsOk());
  EXPECT_THAT(CheckDecryptRequest("", good), StatusIs(kInvalidArgument, "the key id is empty"));
  EXPECT_THAT(CheckDecryptRequest(Text(1025), good),
              StatusIs(kInvalidArgument, "the key id has 1025 bytes; the limit is 1024"));
  EXPECT_THAT(CheckDecryptRequest("5", {"", {}}),
              StatusIs(kInvalidArgument, "the ciphertext is empty"));
  EXPECT_THAT(CheckDecryptRequest("5", {Text(1025), {}}),
              StatusIs(kInvalidArgument, "the ciphertext has 1025 bytes; the limit is 1024"));
  EXPECT_THAT(CheckDecryptRequest("5", {"c", {{"n", Text(32768)}}}),
              StatusIs(kInvalidArgument, "the annotations have 32769 bytes; the limit is 32768"));
}

}  // namespace
}  // namespace okms
