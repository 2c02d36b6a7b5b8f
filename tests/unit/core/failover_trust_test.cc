// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Hosts whose keys differ.

#include <string>

#include "unit/core/failover_test.h"

namespace okms::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using Code = absl::StatusCode;

class ThreeWorldsTest : public FailoverTest {
 protected:
  ThreeWorldsTest() : FailoverTest(3) {}
};

// ---- The record

TEST_F(FailoverTest, ARoundTripOfAChecksIsTheRecordByWhichAllAreProbedAtOnce) {
  Encrypt(Way::kChecks);
  Encrypted(a(), Ciphertext{"record", {{"iv", "1"}}});
  Pass(1min);
  EXPECT_EQ(b().pending(), 0u) << "nobody has decrypted it yet";
  failover_->Decrypt(Way::kChecks, "key", {"record", {{"iv", "1"}}}, now_ + 3s, Into(decrypted_));
  Decrypted(a(), Plain("seed"));
  Pass(0ms);
  ReadsRecord(a());
  ReadsRecord(b());
  Encrypt(Way::kChecks, "another key");
  Encrypted(a(), Ciphertext{"record", {}});
  failover_->Decrypt(Way::kChecks, "another key", {"record", {}}, now_ + 3s, Into(decrypted_));
  Decrypted(a(), Plain("seed"));
  Pass(0ms);
  ReadsRecord(b());
}

TEST_F(FailoverTest, AWrongCiphertextIsNoRecord) {
  Encrypt(Way::kChecks);
  Encrypted(a(), Ciphertext{"record", {}});
  Decrypt("record", Way::kChecks);
  Decrypted(a(), Plain("something else"));
  Encrypt(Way::kEncrypts);  // a call's is nobody's business
  Encrypted(a(), Ciphertext{"call", {}});
  Decrypt("call", Way::kChecks);
  Decrypted(a(), Plain("seed"));
  Pass(1min);
  EXPECT_EQ(a().pending() + b().pending(), 0u);
}

// Whoever else answers.
TEST_F(FailoverTest, TheRecordIsWhatTheCallerWasGiven) {
  const auto& encrypted = Encrypt(Way::kChecks);
  Pass(FailoverState::kSilence);
  Encrypted(b(), Ciphertext{"record", {}});
  EXPECT_THAT(encrypted, ElementsAre(IsOk()));
  Encrypted(a(), Ciphertext{"late", {}});
  Decrypt("record", Way::kChecks);
  Decrypted(b(), Plain("seed"));
  AwaitProbe(a());
  ReadsRecord(a());
}

TEST_F(FailoverTest, WithoutARecordEachHostIsFree) {
  LoseFirst();
  const auto& encrypted = Encrypt();
  Encrypted(b(), Ciphertext{"bytes", {}});
  EXPECT_THAT(encrypted, ElementsAre(IsOk()));
  Pass(1min);
  EXPECT_EQ(a().pending() + b().pending(), 0u) << "nothing to probe with";
}

// Before the probe was answered.
TEST_F(FailoverTest, AnUntriedHostIsTriedBeforeItEncrypts) {
  RoundTrip();
  LoseFirst();
  const auto& encrypted = Encrypt();
  EXPECT_THAT(b().encrypt, IsEmpty());
  ReadsRecord(b());
  Encrypted(b(), Ciphertext{"bytes", {}});
  EXPECT_THAT(encrypted, ElementsAre(IsOk()));
  // That counts for the looks that follow.
  const auto& inspected = Inspect();
  FakeBackend::Answer<KeyInfo>(b().inspect, ActiveKey());
  EXPECT_THAT(inspected, ElementsAre(IsOk()));
}

// A host may become another one between two calls, and nobody notices.
TEST_F(FailoverTest, EachEncryptAndEachSearchTriesItsHostAnew) {
  MakeRecord();
  for (int i = 0; i < 2; ++i) {
    const auto& encrypted = Encrypt();
    EXPECT_THAT(a().encrypt, IsEmpty());
    ReadsRecord(a());
    Encrypted(a(), Ciphertext{"bytes", {}});
    EXPECT_THAT(encrypted, ElementsAre(IsOk()));
    const auto& located = Locate();
    EXPECT_THAT(a().locate, IsEmpty());
    ReadsRecord(a());
    FakeBackend::Answer<Located>(a().locate, Located{});
    EXPECT_THAT(located, ElementsAre(IsOk()));
  }
  const auto& encrypted = Encrypt();
  Decrypted(a(), absl::InvalidArgumentError("wrong tag"));
  ReadsRecord(b());
  Encrypted(b(), Ciphertext{"bytes", {}});
  EXPECT_THAT(encrypted, ElementsAre(IsOk()));
  EXPECT_FALSE(Up(0));
  EXPECT_THAT(log_, ElementsAre(Pair(Severity::kError,
                                     "a disagrees, and is not used to encrypt: INVALID_ARGUMENT: "
                                     "it does not decrypt what a encrypted: wrong tag; b finds "
                                     "nothing wrong; b serves")));
}

TEST_F(FailoverTest, AnUntriedHostIsTriedBeforeItInspectsLocatesOrKnowsAnotherKey) {
  RoundTrip();
  LoseFirst();
  const auto& inspected = Inspect();
  const auto& located = Locate();
  const auto& encrypted = Encrypt(Way::kEncrypts, "another key");
  EXPECT_THAT(b().decrypt, SizeIs(3));
  EXPECT_EQ(b().pending(), 3u);
  while (!b().decrypt.empty()) {
    Decrypted(b(), absl::InvalidArgumentError("wrong tag"));
    // The host that made it was away, and has to be tried, too.
    Decrypted(a(), absl::UnavailableError("refused"));
  }
  const auto refused = StatusIs(Code::kUnavailable,
                                "b: it does not decrypt what a encrypted: wrong tag; a: refused");
  EXPECT_THAT(inspected, ElementsAre(refused));
  EXPECT_THAT(located, ElementsAre(refused));
  EXPECT_THAT(encrypted, ElementsAre(refused));
}

// A host that was away may be another one when it is back.
TEST_F(FailoverTest, WhoWasOutIsTriedAnew) {
  MakeRecord();
  LoseFirst();
  Decrypt();
  Decrypted(b(), absl::UnavailableError("refused"));  // none is up
  Decrypted(a(), absl::UnavailableError("refused"));
  const auto& encrypted = Encrypt();
  EXPECT_THAT(a().encrypt, IsEmpty());
  ReadsRecord(a());
  Encrypted(a(), Ciphertext{"bytes", {}});
  EXPECT_THAT(encrypted, ElementsAre(IsOk()));
}

TEST_F(FailoverTest, ASilentTrialHasTheNextOneAskedBesideIt) {
  MakeRecord();
  LoseFirst();
  Decrypt();
  Decrypted(b(), absl::UnavailableError("refused"));
  Decrypted(a(), absl::UnavailableError("refused"));
  const auto& encrypted = Encrypt();
  EXPECT_THAT(a().decrypt, SizeIs(1));
  Pass(FailoverState::kSilence);
  ReadsRecord(b());
  Encrypted(b(), Ciphertext{"bytes", {}});
  EXPECT_THAT(encrypted, ElementsAre(IsOk()));
  ReadsRecord(a());
  EXPECT_THAT(a().encrypt, IsEmpty()) << "it was answered";
  EXPECT_THAT(encrypted, SizeIs(1));
}

// ---- Hosts that disagree

TEST_F(FailoverTest, WhoDoesNotReadTheRecordDisagreesAndGetsDecryptsAlone) {
  MakeRecord();
  AwaitProbe(b());
  Decrypted(b(), absl::InvalidArgumentError("wrong tag"));
  ReadsRecord(a());  // to compare
  EXPECT_FALSE(Up(1));
  EXPECT_THAT(failover_->Hosts()[1].trouble,
              StatusIs(Code::kInvalidArgument, "it disagrees: wrong tag; a finds nothing wrong"));
  EXPECT_THAT(log_, ElementsAre(Pair(Severity::kError,
                                     "b disagrees, and is not used to encrypt: INVALID_ARGUMENT: "
                                     "wrong tag; a finds nothing wrong; a serves")));

  const auto& encrypted = Encrypt();
  Encrypted(a(), absl::UnavailableError("refused"));
  const auto& inspected = Inspect();
  ReadsRecord(a());
  FakeBackend::Answer<KeyInfo>(a().inspect, absl::UnavailableError("refused"));
  const auto& located = Locate();
  Decrypted(a(), absl::UnavailableError("refused"));
  const auto alone = StatusIs(Code::kUnavailable,
                              "a: refused; b: not asked, since it disagrees: wrong tag; a finds "
                              "nothing wrong");
  EXPECT_THAT(encrypted, ElementsAre(alone));
  EXPECT_THAT(inspected, ElementsAre(alone));
  EXPECT_THAT(located, ElementsAre(alone));
  EXPECT_EQ(b().pending(), 0u);

  const auto& decrypted = Decrypt();
  Decrypted(a(), absl::UnavailableError("refused"));
  Decrypted(b(), Plain("seed"));
  EXPECT_THAT(decrypted, ElementsAre(IsOk()));
}

TEST_F(FailoverTest, WhatIsDecryptedToSomethingElseIsARefusal) {
  MakeRecord();
  AwaitProbe(b());
  Decrypted(b(), Plain("something else"));
  ReadsRecord(a());
  EXPECT_FALSE(Up(1));
  EXPECT_THAT(log_, SizeIs(1));
}

// The preferred one at that, which was put right by the next.
TEST_F(FailoverTest, ThePreferredHostMayBeTheOneThatDisagrees) {
  MakeRecord();
  const auto& encrypted = Encrypt();
  Encrypted(a(), absl::PermissionDeniedError("no"));
  Encrypted(b(), Ciphertext{"bytes", {}});
  EXPECT_THAT(encrypted, ElementsAre(IsOk()));
  EXPECT_FALSE(Up(0));
  const auto& next = Encrypt();
  EXPECT_THAT(a().encrypt, IsEmpty());
  Encrypted(b(), absl::UnavailableError("refused"));
  EXPECT_THAT(next, ElementsAre(StatusIs(Code::kUnavailable, HasSubstr("a: not asked"))));
}

// It decrypts what it encrypted itself, in another world.
TEST_F(ThreeWorldsTest, WhoDisagreesSpeaksAgainstNobody) {
  MakeRecord();
  AwaitProbe(c());
  Decrypted(c(), absl::NotFoundError("no such key"));
  ReadsRecord(a());
  ASSERT_FALSE(Up(2));
  const auto& result = Decrypt("of c");
  Decrypted(a(), absl::InvalidArgumentError("wrong tag"));
  Decrypted(b(), absl::InvalidArgumentError("wrong tag"));
  Decrypted(c(), Plain("seed"));
  EXPECT_THAT(result, ElementsAre(IsOk()));
  EXPECT_TRUE(Up(0));
  EXPECT_TRUE(Up(1));
}

TEST_F(FailoverTest, WhoDisagreesIsNotBelievedWithoutARecordEither) {
  Decrypt();
  Decrypted(a(), absl::NotFoundError("no such key"));
  Decrypted(b(), Plain("seed"));
  const auto& result = Decrypt();
  Decrypted(b(), absl::UnavailableError("refused"));
  Decrypted(a(), absl::NotFoundError("no such key"));
  EXPECT_THAT(result, ElementsAre(StatusIs(Code::kUnavailable, "b: refused; a: no such key")));
  // But it is asked, as the last one.
  const auto& encrypted = Encrypt();
  Encrypted(b(), absl::UnavailableError("refused"));
  Encrypted(a(), Ciphertext{"bytes", {}});
  EXPECT_THAT(encrypted, ElementsAre(IsOk()));
}

// Nor does one that was not tried yet.
TEST_F(FailoverTest, WhoIsUntriedSpeaksAgainstNobodyAndForNobody) {
  RoundTrip();
  const auto& result = Decrypt();
  Decrypted(a(), absl::InvalidArgumentError("wrong tag"));
  Decrypted(b(), Plain("seed"));
  EXPECT_THAT(result, ElementsAre(IsOk()));
  EXPECT_TRUE(Up(0));
  // Its refusal is not taken for the KMS's word while the other one is away.
  const auto& refused = Decrypt();
  Decrypted(a(), absl::UnavailableError("refused"));
  Decrypted(b(), absl::InvalidArgumentError("wrong tag"));
  EXPECT_THAT(refused, ElementsAre(StatusIs(Code::kUnavailable, "a: refused; b: wrong tag")));
}

TEST_F(FailoverTest, ARecordAtFaultPutsNobodyOut) {
  MakeRecord();
  const auto& result = Decrypt("broken");
  Decrypted(a(), absl::InvalidArgumentError("wrong tag"));
  Decrypted(b(), absl::InvalidArgumentError("wrong tag"));
  EXPECT_THAT(result, ElementsAre(StatusIs(Code::kInvalidArgument, "a: wrong tag; b: wrong tag")));
  EXPECT_TRUE(Up(0) && Up(1));
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(ThreeWorldsTest, TheRefusalOfOneChangesNothingWhileOthersCan) {
  MakeRecord();
  const auto& result = Encrypt();
  Encrypted(a(), absl::NotFoundError("no such key"));
  Encrypted(b(), absl::NotFoundError("no such key"));
  Encrypted(c(), Ciphertext{"bytes", {}});
  EXPECT_THAT(result, ElementsAre(IsOk()));
  EXPECT_FALSE(Up(0));
  EXPECT_FALSE(Up(1));
  EXPECT_TRUE(Up(2));
}

// A key that is gone everywhere proves nothing; a new one may take its place.
TEST_F(FailoverTest, ARecordThatAllHaveLostIsDropped) {
  for (const auto& refusal :
       {absl::FailedPreconditionError("destroyed"), absl::PermissionDeniedError("not active")}) {
    FailoverScene test;
    test.MakeRecord();
    test.AwaitProbe(test.b());
    Decrypted(test.b(), refusal);
    Decrypted(test.a(), absl::NotFoundError("no such key"));
    EXPECT_TRUE(test.Up(0) && test.Up(1));
    test.Locate();
    EXPECT_THAT(test.a().locate, SizeIs(1)) << "without a trial";
    EXPECT_THAT(test.log_, IsEmpty());
  }
}

TEST_F(FailoverTest, ARecordThatOneHasAnotherKeyForIsKept) {
  MakeRecord();
  AwaitProbe(b());
  Decrypted(b(), absl::InvalidArgumentError("wrong tag"));
  Decrypted(a(), absl::NotFoundError("no such key"));
  Encrypt();
  EXPECT_EQ(a().encrypt.size() + b().encrypt.size(), 0u);
  EXPECT_THAT(a().decrypt, SizeIs(1)) << "a trial";
}

}  // namespace
}  // namespace okms::test
