// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Probes, and hosts that come back.

#include <string>

#include "unit/core/failover_test.h"

namespace okms::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using Code = absl::StatusCode;

TEST_F(FailoverTest, WhoWasOutIsPreferredAgainAfterTwoGoodProbes) {
  MakeRecord();
  LoseFirst();
  Pass(1'900ms);
  EXPECT_EQ(a().pending(), 0u);
  AwaitProbe(a());
  ReadsRecord(a());
  EXPECT_FALSE(Up(0));
  Decrypt();
  Decrypted(b(), Plain("seed"));
  AwaitProbe(a());
  ReadsRecord(a());
  EXPECT_TRUE(Up(0));
  Decrypt();
  EXPECT_THAT(a().decrypt, SizeIs(1));
  EXPECT_EQ(b().pending(), 0u);
  EXPECT_THAT(log_, ElementsAre(Pair(Severity::kNotice,
                                     testing::MatchesRegex("a is back after [34] s; a serves"))));
}

TEST_F(FailoverTest, TheGoodProbesAreRunning) {
  MakeRecord();
  LoseFirst();
  const auto refuse = [&] { Decrypted(a(), absl::UnavailableError("refused")); };
  for (int i = 0; i < 3; ++i) {
    AwaitProbe(a());
    ReadsRecord(a());
    AwaitProbe(a());
    refuse();
    EXPECT_EQ(b().pending(), 0u) << "nothing is to be compared";
  }
  EXPECT_FALSE(Up(0));
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(FailoverTest, AProbeHasATimeOfItsOwn) {
  MakeRecord();
  AwaitProbe(b());
  EXPECT_GT(b().decrypt.front().deadline, now_);
  EXPECT_LE(b().decrypt.front().deadline, now_ + FailoverState::kProbeTime);
  now_ = b().decrypt.front().deadline;
  Decrypted(b(), absl::DeadlineExceededError("no answer"));
  EXPECT_FALSE(Up(1));
  EXPECT_THAT(log_, ElementsAre(Pair(Severity::kWarning,
                                     "b is out: DEADLINE_EXCEEDED: no answer; a serves")));
}

TEST_F(FailoverTest, WhoIsUpIsProbedEachHalfMinute) {
  MakeRecord();
  int probes = 0;
  for (int i = 0; i < 600; ++i) {
    Pass(1s);
    while (b().pending() > 0) {
      ReadsRecord(b());
      ++probes;
    }
    while (a().pending() > 0) ReadsRecord(a());
  }
  EXPECT_GE(probes, 600 / 30);
  EXPECT_LE(probes, 600 / 22);
  EXPECT_THAT(log_, IsEmpty());
}

// It answers, as badly as all.
TEST_F(FailoverTest, AKeyThatAllRefuseKeepsNobodyOut) {
  RoundTrip();
  Pass(0ms);
  ReadsRecord(a());
  Decrypted(b(), absl::UnavailableError("refused"));
  for (int i = 0; i < 2; ++i) {
    AwaitProbe(b());
    Decrypted(b(), absl::PermissionDeniedError("no"));
    Decrypted(a(), absl::PermissionDeniedError("no"));
  }
  EXPECT_TRUE(Up(1));
  // But it never had the key: none encrypts untried.
  const auto& encrypted = Encrypt();
  EXPECT_THAT(a().encrypt, IsEmpty());
  Decrypted(a(), absl::PermissionDeniedError("no"));
  Decrypted(b(), absl::PermissionDeniedError("no"));
  EXPECT_THAT(encrypted,
              ElementsAre(StatusIs(Code::kPermissionDenied,
                                   "a: it does not decrypt what a encrypted: no; b: it does not "
                                   "decrypt what a encrypted: no")));
}

TEST_F(FailoverTest, WhoDisagreesIsBackWhenItReadsTheRecord) {
  MakeRecord();
  for (int i = 0; i < 4; ++i) {
    AwaitProbe(b());
    Decrypted(b(), absl::NotFoundError("no such key"));
    ReadsRecord(a());
  }
  EXPECT_FALSE(Up(1));
  AwaitProbe(b());
  Decrypted(b(), absl::UnavailableError("reset"));
  EXPECT_THAT(log_, SizeIs(1)) << "each is said once";
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(Up(1));
    AwaitProbe(b());
    ReadsRecord(b());
  }
  EXPECT_TRUE(Up(1));
  EXPECT_THAT(log_, SizeIs(2));
}

TEST_F(FailoverTest, WhoDisagreesIsNotBackForWantOfAnother) {
  MakeRecord();
  AwaitProbe(b());
  Decrypted(b(), absl::NotFoundError("no such key"));
  ReadsRecord(a());
  for (int i = 0; i < 4; ++i) {
    AwaitProbe(b());
    Decrypted(b(), absl::NotFoundError("no such key"));
    Decrypted(a(), absl::UnavailableError("refused"));
    EXPECT_FALSE(Up(1));
  }
}

TEST_F(FailoverTest, WhoDisagreedIsTriedWithEachKeyAnew) {
  const auto check = [&](const std::string& key_id) {
    failover_->Encrypt(Way::kChecks, key_id, Plain("seed"), now_ + 3s, Into(encrypted_));
    Encrypted(a(), Ciphertext{"record", {}});
    failover_->Decrypt(Way::kChecks, key_id, {"record", {}}, now_ + 3s, Into(decrypted_));
    Decrypted(a(), Plain("seed"));
    AwaitProbe(b());
    ReadsRecord(b());
  };
  check("key");
  check("another key");
  AwaitProbe(b());
  Decrypted(b(), absl::NotFoundError("no such key"));
  ReadsRecord(a());
  for (int i = 0; i < 2; ++i) {
    AwaitProbe(b());
    EXPECT_EQ(b().decrypt.front().name, "another key");
    ReadsRecord(b());
  }
  ASSERT_TRUE(Up(1));
  LoseFirst();
  Inspect("another key");
  EXPECT_THAT(b().inspect, SizeIs(1));
  Inspect("key");
  EXPECT_THAT(b().inspect, SizeIs(1));
  ReadsRecord(b());
  EXPECT_THAT(b().inspect, SizeIs(2));
}

// Goes out with each call that it gets, and reads each record.
TEST_F(FailoverTest, AHostThatComesAndGoesDoesNotFloodTheLog) {
  MakeRecord();
  int asked = 0;
  for (int i = 0; i < 7'200; ++i) {
    Pass(500ms);
    while (a().pending() > 0) ReadsRecord(a());
    while (b().pending() > 0) ReadsRecord(b());
    const auto& result = Decrypt();
    if (!a().decrypt.empty()) {
      ++asked;
      Decrypted(a(), absl::UnavailableError("reset"));
    }
    Decrypted(b(), Plain("seed"));
    EXPECT_THAT(result, ElementsAre(IsOk()));
  }
  EXPECT_GE(asked, 20) << "it is tried again";
  EXPECT_LE(asked, 60) << "in an hour";
  EXPECT_THAT(log_, SizeIs(testing::AnyOf(2 * asked, 2 * asked - 1)));
  EXPECT_LE(most_timers_, 16u);
}

}  // namespace
}  // namespace okms::test
