// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Who is asked when a host fails or refuses.

#include "unit/core/failover_test.h"

#include "base/status.h"

namespace okms::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using Code = absl::StatusCode;

TEST_F(FailoverTest, ThePreferredHostIsAskedAlone) {
  const auto& result = Decrypt();
  EXPECT_THAT(a().decrypt, SizeIs(1));
  EXPECT_EQ(a().decrypt.front().input, "bytes");
  EXPECT_EQ(a().decrypt.front().deadline, now_ + 3s);
  Decrypted(a(), Plain("seed"));
  ASSERT_THAT(result, SizeIs(1));
  EXPECT_EQ(AsText(result[0]->Reveal()), "seed");
  EXPECT_EQ(b().pending(), 0u);
  EXPECT_THAT(log_, IsEmpty());
}

// ---- Errors

TEST_F(FailoverTest, WhoFailsIsOutAndTheNextIsAskedAtOnce) {
  for (const Code code :
       {Code::kUnavailable, Code::kDeadlineExceeded, Code::kUnauthenticated, Code::kDataLoss}) {
    FailoverScene test;
    const auto& result = test.Decrypt();
    Decrypted(test.a(), absl::Status(code, "no"));
    ASSERT_THAT(test.b().decrypt, SizeIs(1));
    EXPECT_EQ(test.b().decrypt.front().input, "bytes");
    EXPECT_FALSE(test.Up(0));
    EXPECT_THAT(test.failover_->Hosts()[0].trouble, StatusIs(code, "no"));
    EXPECT_THAT(result, IsEmpty());
    Decrypted(test.b(), Plain("seed"));
    EXPECT_THAT(result, ElementsAre(IsOk()));
    // From now on the next one is asked first.
    test.Decrypt();
    EXPECT_EQ(test.a().pending(), 0u);
    EXPECT_THAT(test.b().decrypt, SizeIs(1));
    EXPECT_THAT(test.log_,
                ElementsAre(Pair(
                    Severity::kWarning,
                    absl::StrCat("a is out: ", absl::StatusCodeToString(code), ": no; b serves"))));
  }
}

TEST_F(FailoverTest, EachCallGoesOnWithTheSame) {
  const auto& encrypted = Encrypt();
  Encrypted(a(), absl::UnavailableError("no"));
  ASSERT_THAT(b().encrypt, SizeIs(1));
  EXPECT_EQ(b().encrypt.front().input, "seed");
  EXPECT_EQ(b().encrypt.front().name, "key");
  EXPECT_EQ(b().encrypt.front().way, Way::kEncrypts);
  Encrypted(b(), Ciphertext{"bytes", {{"iv", "1"}}});
  ASSERT_THAT(encrypted, ElementsAre(IsOk()));
  EXPECT_EQ(encrypted[0]->bytes, "bytes");
  EXPECT_EQ(encrypted[0]->annotations.at("iv"), "1");
}

TEST_F(FailoverTest, InspectAndLocateGoOnToo) {
  const auto& inspected = Inspect();
  FakeBackend::Answer<KeyInfo>(a().inspect, absl::UnavailableError("no"));
  FakeBackend::Answer<KeyInfo>(b().inspect, ActiveKey());
  EXPECT_THAT(inspected, ElementsAre(IsOk()));
  const auto& located = Locate();
  EXPECT_THAT(b().locate, IsEmpty());
  FakeBackend::Answer<Located>(a().locate, absl::UnavailableError("no"));
  ASSERT_THAT(b().locate, SizeIs(1));
  EXPECT_EQ(b().locate.front().name, "label");
  FakeBackend::Answer<Located>(b().locate, Located{{"key"}});
  EXPECT_THAT(located, ElementsAre(IsOk()));
  // The second host was given the time of the first: a second look at it means a success.
  EXPECT_EQ(pages_, 1);
}

// At the start: who is up may know nothing of the label, and would be asked for ever.
TEST_F(FailoverTest, BeforeAnythingIsProvenALabelIsLookedForInTheOrderOfTheConfiguration) {
  LoseFirst();
  Locate();
  EXPECT_THAT(a().locate, SizeIs(1));
  EXPECT_THAT(b().locate, IsEmpty());
}

TEST_F(FailoverTest, WhenNoneIsUpAllAreAskedInOrderAndTheErrorNamesEach) {
  for (int i = 0; i < 2; ++i) {
    const auto& result = Decrypt();
    Decrypted(a(), absl::UnavailableError("refused"));
    EXPECT_THAT(result, IsEmpty());
    Decrypted(b(), absl::UnauthenticatedError("who are you"));
    EXPECT_THAT(result, ElementsAre(StatusIs(Code::kUnavailable, "a: refused; b: who are you")));
    EXPECT_FALSE(Up(0));
    EXPECT_FALSE(Up(1));
  }
  EXPECT_THAT(log_,
              ElementsAre(Pair(Severity::kWarning, "a is out: UNAVAILABLE: refused; b serves"),
                          Pair(Severity::kWarning,
                               "b is out: UNAUTHENTICATED: who are you; none is up, so "
                               "calls try one after the other")));
}

TEST_F(FailoverTest, WithoutTimeNobodyElseIsAsked) {
  const auto& result = Decrypt();
  now_ += 3s - 9ms;
  Decrypted(a(), absl::UnavailableError("refused"));
  EXPECT_THAT(result, ElementsAre(StatusIs(Code::kUnavailable, "a: refused")));
  EXPECT_EQ(b().pending(), 0u);
}

// Who shares the answer asks anew by this code, if there is time left.
TEST_F(FailoverTest, TheEndOfTheTimeIsToldAsThatAndPutsNobodyOut) {
  const auto& result = Decrypt();
  Decrypted(a(), absl::UnavailableError("refused"));
  now_ += 3s;
  Decrypted(b(), absl::DeadlineExceededError("no answer"));
  EXPECT_THAT(result, ElementsAre(StatusIs(Code::kDeadlineExceeded, "a: refused; b: no answer")));
  EXPECT_TRUE(Up(1));
}

TEST_F(FailoverTest, AFullQueueAndTheEndAreAnsweredAsTheyAre) {
  for (const Code code : {Code::kResourceExhausted, Code::kCancelled}) {
    const auto& result = Decrypt();
    Decrypted(a(), absl::Status(code, "no"));
    EXPECT_THAT(result, ElementsAre(StatusIs(code, "no")));
    EXPECT_EQ(b().pending(), 0u);
    EXPECT_TRUE(Up(0));
  }
}

TEST_F(FailoverTest, WhatDiffersEachTimeStaysBesideTheMessage) {
  const auto& result = Decrypt();
  Decrypted(a(), WithDetail(absl::NotFoundError("no key"), "request 1"));
  Decrypted(b(), WithDetail(absl::NotFoundError("no key"), "request 2"));
  ASSERT_THAT(result, SizeIs(1));
  EXPECT_EQ(Message(result[0].status()), "a: no key; b: no key (request 1)");
}

// ---- Refusals

TEST_F(FailoverTest, WhatAllRefuseIsAnsweredAsTheFirstSaidItAndPutsNobodyOut) {
  for (const Code code : {Code::kNotFound, Code::kPermissionDenied, Code::kFailedPrecondition,
                          Code::kInvalidArgument, Code::kInternal, Code::kUnimplemented}) {
    const auto& result = Decrypt();
    Decrypted(a(), absl::Status(code, "no"));
    EXPECT_THAT(result, IsEmpty());
    Decrypted(b(), absl::NotFoundError("not here"));
    EXPECT_THAT(result, ElementsAre(StatusIs(code, "a: no; b: not here")));
  }
  EXPECT_TRUE(Up(0));
  EXPECT_TRUE(Up(1));
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(FailoverTest, WhoRefusesWhatAnotherCanIsOutByName) {
  const auto& result = Decrypt();
  Decrypted(a(), absl::NotFoundError("no such key"));
  Decrypted(b(), Plain("seed"));
  EXPECT_THAT(result, ElementsAre(IsOk()));
  EXPECT_FALSE(Up(0));
  EXPECT_THAT(log_, ElementsAre(Pair(Severity::kError,
                                     "a disagrees, and is not used to encrypt: NOT_FOUND: no such "
                                     "key; b finds nothing wrong; b serves")));
  Decrypt();
  EXPECT_EQ(a().pending(), 0u);
}

TEST_F(FailoverTest, ARefusalIsTheAnswerWhenTheNextFails) {
  const auto& result = Decrypt();
  Decrypted(a(), absl::NotFoundError("no such key"));
  Decrypted(b(), absl::UnavailableError("refused"));
  EXPECT_THAT(result, ElementsAre(StatusIs(Code::kNotFound, "a: no such key; b: refused")));
  EXPECT_TRUE(Up(0));
  EXPECT_FALSE(Up(1));
}

TEST_F(FailoverTest, ARefusalDoesNotWaitForASilentHost) {
  const auto& result = Decrypt();
  Decrypted(a(), absl::NotFoundError("no such key"));
  Pass(FailoverState::kHopeless - 1ms);
  EXPECT_THAT(result, IsEmpty());
  Pass(1ms);
  EXPECT_THAT(result, ElementsAre(StatusIs(Code::kNotFound, "a: no such key")));
  // What comes too late for the answer is still known.
  Decrypted(b(), Plain("seed"));
  EXPECT_THAT(result, SizeIs(1));
  EXPECT_FALSE(Up(0));
}

TEST_F(FailoverTest, AnUnfitKeyIsShownByAllOrByNone) {
  const auto& shown = Inspect();
  KeyInfo first = DeactivatedKey({{"of a"}});
  FakeBackend::Answer<KeyInfo>(a().inspect, first);
  EXPECT_THAT(shown, IsEmpty());
  FakeBackend::Answer<KeyInfo>(b().inspect, DeactivatedKey());
  ASSERT_THAT(shown, ElementsAre(IsOk()));
  EXPECT_EQ(shown[0]->labels, first.labels);
  EXPECT_TRUE(Up(0));

  const auto& fit = Inspect();
  FakeBackend::Answer<KeyInfo>(a().inspect, first);
  FakeBackend::Answer<KeyInfo>(b().inspect, ActiveKey());
  ASSERT_THAT(fit, ElementsAre(IsOk()));
  EXPECT_TRUE(fit[0]->active->has);
  EXPECT_THAT(log_,
              ElementsAre(Pair(Severity::kError,
                               "a disagrees, and is not used to encrypt: FAILED_PRECONDITION: key "
                               "key is in state Deactivated, not Active; b finds nothing wrong; b "
                               "serves")));
}

}  // namespace
}  // namespace okms::test
