// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/round_trip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "support/status_is.h"
#include "unit/core/fake_backend.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::FakeBackend;
using test::IsOk;
using test::Plain;
using test::StatusIs;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Code = absl::StatusCode;

constexpr Deadline kStart = Deadline(1000h);

class RoundTripTest : public ::testing::TestWithParam<Way> {
 protected:
  void Start() {
    RoundTrip(
        backend_, GetParam(), Way::kChecks, "key-1", Plain("seed"),
        [this] { return kStart + ++operations_ * 1s; },
        [this](absl::StatusOr<Ciphertext> result) {
          ASSERT_FALSE(result_) << "answered twice";
          result_ = std::move(result);
        });
  }
  static Ciphertext Record() { return {"ciphertext", {{"iv.okms.ovh.com", "iv"}}}; }
  auto Encrypted(absl::StatusOr<Ciphertext> result = Record()) {
    return FakeBackend::Answer<Ciphertext>(backend_.encrypt, std::move(result));
  }
  auto Decrypted(absl::StatusOr<Secret> result) {
    return FakeBackend::Answer<Secret>(backend_.decrypt, std::move(result));
  }

  FakeBackend backend_;
  int operations_ = 0;
  std::optional<absl::StatusOr<Ciphertext>> result_;
};
INSTANTIATE_TEST_SUITE_P(Ways, RoundTripTest, ::testing::Values(Way::kEncrypts, Way::kChecks),
                         [](const auto& way) {
                           return way.param == Way::kEncrypts ? "encrypts" : "checks";
                         });

TEST_P(RoundTripTest, GivesTheCiphertextOnlyAfterItWasDecrypted) {
  Start();
  EXPECT_EQ(operations_, 1) << "the second deadline is not to run yet";
  const auto encrypt = Encrypted();
  EXPECT_EQ(encrypt.way, GetParam());
  EXPECT_EQ(encrypt.name, "key-1");
  EXPECT_EQ(encrypt.input, "seed");
  EXPECT_EQ(encrypt.deadline, kStart + 1s);
  EXPECT_FALSE(result_);

  const auto decrypt = Decrypted(Plain("seed"));
  EXPECT_EQ(decrypt.way, Way::kChecks);
  EXPECT_EQ(decrypt.name, "key-1");
  EXPECT_EQ(decrypt.input, "ciphertext");
  EXPECT_EQ(decrypt.deadline, kStart + 2s);
  ASSERT_TRUE(result_);
  ASSERT_THAT(*result_, IsOk());
  EXPECT_EQ((*result_)->bytes, "ciphertext");
  EXPECT_EQ((*result_)->annotations, Record().annotations);
  EXPECT_EQ(backend_.pending(), 0u);
}

TEST_P(RoundTripTest, WhatDecryptsToSomethingElseIsNotGiven) {
  for (const char* other : {"seeD", "see", "seed ", ""}) {
    result_.reset();
    Start();
    Encrypted();
    Decrypted(Plain(other));
    ASSERT_TRUE(result_);
    EXPECT_THAT(*result_, StatusIs(Code::kDataLoss,
                                   "the KMS decrypted its own ciphertext to something else; "
                                   "nothing is encrypted with this key"))
        << other;
  }
}

TEST_P(RoundTripTest, AKmsThatRefusesItsOwnCiphertextIsAtFaultItself) {
  Start();
  Encrypted();
  Decrypted(absl::InvalidArgumentError("wrong tag"));
  ASSERT_TRUE(result_);
  EXPECT_THAT(*result_, StatusIs(Code::kDataLoss,
                                 "decryption of what the KMS had just encrypted: wrong tag"));
}

TEST_P(RoundTripTest, OtherErrorsKeepTheirCode) {
  for (const Code code : {Code::kUnavailable, Code::kDeadlineExceeded, Code::kPermissionDenied,
                          Code::kUnauthenticated, Code::kNotFound, Code::kFailedPrecondition,
                          Code::kResourceExhausted, Code::kDataLoss, Code::kCancelled}) {
    result_.reset();
    Start();
    Encrypted(absl::Status(code, "away"));
    EXPECT_EQ(backend_.pending(), 0u) << "there is nothing to decrypt";
    ASSERT_TRUE(result_);
    EXPECT_THAT(*result_, StatusIs(code, "away"));

    result_.reset();
    Start();
    Encrypted();
    Decrypted(absl::Status(code, "away"));
    ASSERT_TRUE(result_);
    EXPECT_THAT(*result_, StatusIs(code, "decryption of what the KMS had just encrypted: away"));
  }
}

// Only a refusal of the KMS's own ciphertext is turned round: this one is about what we sent.
TEST_P(RoundTripTest, AnEncryptionThatIsRefusedIsNoMisfit) {
  Start();
  Encrypted(absl::InvalidArgumentError("too long"));
  ASSERT_TRUE(result_);
  EXPECT_THAT(*result_, StatusIs(Code::kInvalidArgument, "too long"));
}

TEST_P(RoundTripTest, WhatTheApiserverWouldNotStoreIsNotGiven) {
  const std::pair<Ciphertext, const char*> cases[] = {
      {{"", {}}, "the KMS returned an empty ciphertext"},
      {{std::string(1025, 'x'), {}}, "ciphertext of 1025 bytes"},
      {{"x", {{"iv.okms.ovh.com", std::string(32769, 'x')}}}, "kube-apiserver takes at most 32768"},
      {{"x", {{"iv", "iv"}}}, "annotation \"iv\""},
  };
  for (const auto& [ciphertext, error] : cases) {
    result_.reset();
    Start();
    Encrypted(ciphertext);
    EXPECT_EQ(backend_.pending(), 0u) << error;
    ASSERT_TRUE(result_);
    EXPECT_THAT(*result_, StatusIs(Code::kDataLoss, HasSubstr(error)));
  }
}

TEST_P(RoundTripTest, TheLargestCiphertextIsGiven) {
  Start();
  Encrypted(Ciphertext{std::string(1024, 'x'), {}});
  EXPECT_THAT(Decrypted(Plain("seed")).input, SizeIs(1024));
  ASSERT_TRUE(result_);
  EXPECT_THAT(*result_, IsOk());
}

}  // namespace
}  // namespace okms
