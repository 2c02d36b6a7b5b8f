// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/key_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
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
using ::testing::Each;
using ::testing::SizeIs;
using Code = absl::StatusCode;

constexpr Deadline kStart = Deadline(1000h);

constexpr bool kMustProve = true;
constexpr bool kAttributesSuffice = false;

class KeyCheckTest : public ::testing::Test {
 protected:
  void Start(bool must_prove, std::optional<KeyInfo> known = {},
             const std::string& key_id = "key-1") {
    operations_ = 0;
    report_.reset();
    CheckKey(
        backend_, key_id, std::move(known), must_prove,
        [this] { return kStart + ++operations_ * 1s; },
        [this](KeyReport report) {
          ASSERT_FALSE(report_) << "answered twice";
          report_ = std::move(report);
        });
  }
  auto Inspected(absl::StatusOr<KeyInfo> info) {
    return FakeBackend::Answer<KeyInfo>(backend_.inspect, std::move(info));
  }
  auto Encrypted(absl::StatusOr<Ciphertext> result = Ciphertext{"ciphertext", {}}) {
    return FakeBackend::Answer<Ciphertext>(backend_.encrypt, std::move(result));
  }
  auto Decrypted(absl::StatusOr<Secret> result) {
    return FakeBackend::Answer<Secret>(backend_.decrypt, std::move(result));
  }
  static KeyInfo Active() { return test::ActiveKey({{"kek"}}); }
  static KeyInfo Hidden() { return {}; }

  FakeBackend backend_;
  int operations_ = 0;
  std::optional<KeyReport> report_;
};

TEST_F(KeyCheckTest, TellsHowLongTheRoundTripTook) {
  const auto before = Clock::now();
  Start(kMustProve, Active());
  const auto begun = Clock::now();
  std::string plaintext = Encrypted().input;
  const auto last = Clock::now();
  Decrypted(Plain(plaintext));
  ASSERT_TRUE(report_);
  EXPECT_GE(report_->took, last - begun);
  EXPECT_LE(report_->took, Clock::now() - before);
}

TEST_F(KeyCheckTest, AttributesSufficeWhenTheyShowThatTheKeyIsActive) {
  Start(kAttributesSuffice);
  const auto inspect = Inspected(Active());
  EXPECT_EQ(inspect.name, "key-1");
  EXPECT_EQ(inspect.deadline, kStart + 1s);
  ASSERT_TRUE(report_);
  EXPECT_THAT(report_->status, IsOk());
  EXPECT_FALSE(report_->proven);
  ASSERT_TRUE(report_->info);
  EXPECT_EQ(report_->info->labels, Active().labels);
  EXPECT_EQ(backend_.pending(), 0u);
}

TEST_F(KeyCheckTest, ProvesWhenItMustOrWhenTheKmsHidesTheState) {
  for (const auto& [must_prove, info] :
       {std::pair{kMustProve, Active()}, {kMustProve, Hidden()}, {kAttributesSuffice, Hidden()}}) {
    Start(must_prove);
    EXPECT_EQ(Inspected(info).deadline, kStart + 1s);
    const auto encrypt = Encrypted();
    EXPECT_EQ(encrypt.way, Way::kChecks);
    EXPECT_EQ(encrypt.name, "key-1");
    EXPECT_EQ(encrypt.deadline, kStart + 2s);
    EXPECT_THAT(encrypt.input, SizeIs(32));
    EXPECT_FALSE(report_);

    const auto decrypt = Decrypted(Plain(encrypt.input));
    EXPECT_EQ(decrypt.way, Way::kChecks);
    EXPECT_EQ(decrypt.name, "key-1");
    EXPECT_EQ(decrypt.deadline, kStart + 3s);
    ASSERT_TRUE(report_);
    EXPECT_THAT(report_->status, IsOk());
    EXPECT_TRUE(report_->proven);
    ASSERT_TRUE(report_->info);
    EXPECT_EQ(report_->info->labels, info.labels);
  }
}

TEST_F(KeyCheckTest, WhatIsKnownIsNotAskedAgain) {
  Start(kAttributesSuffice, Active());
  EXPECT_EQ(operations_, 0);
  ASSERT_TRUE(report_);
  EXPECT_THAT(report_->status, IsOk());
  EXPECT_FALSE(report_->proven);

  Start(kMustProve, Active());
  const auto encrypt = Encrypted();
  EXPECT_EQ(encrypt.deadline, kStart + 1s);
  Decrypted(Plain(encrypt.input));
  ASSERT_TRUE(report_);
  EXPECT_TRUE(report_->proven);
  EXPECT_EQ(backend_.pending(), 0u);
}

TEST_F(KeyCheckTest, AKeyThatIsUnfitIsNamedWithTheReasonAndNotUsed) {
  for (const bool must_prove : {kMustProve, kAttributesSuffice}) {
    Start(must_prove, {}, "key\n1");
    Inspected(test::DeactivatedKey());
    EXPECT_EQ(backend_.pending(), 0u);
    ASSERT_TRUE(report_);
    EXPECT_THAT(report_->status, StatusIs(Code::kFailedPrecondition,
                                          "key key?1 is in state Deactivated, not Active"));
    EXPECT_FALSE(report_->proven);
    EXPECT_TRUE(report_->info);
  }
  // Active, but of the wrong kind.
  KeyInfo rsa = Active();
  rsa.symmetric = {false, "type RSA"};
  Start(kAttributesSuffice, rsa);
  ASSERT_TRUE(report_);
  EXPECT_THAT(report_->status,
              StatusIs(Code::kFailedPrecondition, "key key-1 is no symmetric key (type RSA)"));
}

TEST_F(KeyCheckTest, EachProbeIsAnother) {
  std::set<std::string> probes;
  for (int i = 0; i < 100; ++i) {
    Start(kMustProve, Active());
    const auto encrypt = Encrypted();
    Decrypted(Plain(encrypt.input));
    probes.insert(encrypt.input);
  }
  EXPECT_THAT(probes, SizeIs(100));
  EXPECT_THAT(probes, Each(SizeIs(32)));
}

TEST_F(KeyCheckTest, WhatTheKmsSaysNamesTheKey) {
  for (const Code code : {Code::kNotFound, Code::kPermissionDenied, Code::kFailedPrecondition}) {
    Start(kMustProve, {}, "key\n1");
    Inspected(absl::Status(code, "no"));
    ASSERT_FALSE(report_) << "the round trip decides";
    Encrypted(absl::PermissionDeniedError("not that either"));
    ASSERT_TRUE(report_);
    EXPECT_THAT(report_->status, StatusIs(code, "key key?1: no"));
    EXPECT_EQ(backend_.pending(), 0u);

    Start(kAttributesSuffice);
    Inspected(absl::Status(code, "no"));
    Encrypted(absl::UnavailableError("away"));
    ASSERT_TRUE(report_);
    EXPECT_THAT(report_->status, StatusIs(Code::kUnavailable, "away"));

    Start(kAttributesSuffice);
    Inspected(absl::Status(code, "no"));
    Decrypted(Plain(Encrypted().input));
    ASSERT_TRUE(report_);
    EXPECT_THAT(report_->status, okms::test::IsOk());
    EXPECT_TRUE(report_->proven);

    Start(kMustProve, Active());
    Encrypted(absl::Status(code, "no"));
    ASSERT_TRUE(report_);
    EXPECT_THAT(report_->status, StatusIs(code, "key key-1: no"));
    EXPECT_FALSE(report_->proven);
    EXPECT_TRUE(report_->info);

    Start(kMustProve, Active());
    Encrypted();
    Decrypted(absl::Status(code, "no"));
    ASSERT_TRUE(report_);
    EXPECT_THAT(report_->status,
                StatusIs(code, "key key-1: decryption of what the KMS had just encrypted: no"));
    EXPECT_FALSE(report_->proven);
  }
}

// It is not the key's fault, and the same words for each key are one line in the log. Nor is it
// when the KMS does not know us.
TEST_F(KeyCheckTest, SilenceNamesNoKey) {
  for (const Code code : {Code::kUnavailable, Code::kDeadlineExceeded, Code::kUnauthenticated}) {
    Start(kMustProve);
    Inspected(absl::Status(code, "away"));
    ASSERT_TRUE(report_);
    EXPECT_THAT(report_->status, StatusIs(code, "away"));
    EXPECT_FALSE(report_->info);

    Start(kMustProve, Active());
    Encrypted(absl::Status(code, "away"));
    ASSERT_TRUE(report_);
    EXPECT_THAT(report_->status, StatusIs(code, "away"));
    EXPECT_FALSE(report_->proven);
  }
}

TEST_F(KeyCheckTest, AKeyThatDecryptsToSomethingElseIsNotProven) {
  Start(kMustProve);
  Inspected(Active());
  Encrypted();
  Decrypted(Plain(std::string(32, 'x')));
  ASSERT_TRUE(report_);
  EXPECT_THAT(report_->status, StatusIs(Code::kDataLoss, ::testing::HasSubstr("something else")));
  EXPECT_FALSE(report_->proven);
  EXPECT_TRUE(report_->info) << "the attributes were shown, so it is the round trip that failed";
}

TEST_F(KeyCheckTest, AnIdThatTheApiserverWouldNotStoreIsNotAskedFor) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "the key id is empty"},
      {std::string(1025, 'k'), "the key id has 1025 bytes; kube-apiserver takes at most 1024"},
  };
  for (const auto& [id, error] : cases) {
    Start(kMustProve, {}, id);
    ASSERT_TRUE(report_);
    EXPECT_THAT(report_->status, StatusIs(Code::kFailedPrecondition, error));
    EXPECT_EQ(backend_.pending(), 0u);
    EXPECT_EQ(operations_, 0);
  }
}

}  // namespace
}  // namespace okms
