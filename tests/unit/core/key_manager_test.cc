// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/key_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"
#include "unit/core/fake_backend.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::FakeBackend;
using test::IsOk;
using test::Plain;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Code = absl::StatusCode;
using Lines = std::vector<std::pair<Severity, std::string>>;

constexpr std::chrono::milliseconds kTimeout = 10s;
constexpr std::chrono::milliseconds kGrace = 15min;

class KeyManagerTest : public ::testing::Test {
 protected:
  explicit KeyManagerTest(KeyName name = KeyId{"key-1"}) {
    auto backend = std::make_unique<FakeBackend>();
    backend_ = backend.get();
    keys_ = std::make_unique<KeyManager>(std::move(backend), logger_,
                                         KeyPolicy{std::move(name), kTimeout, kGrace},
                                         [this] { return now_; });
  }

  // Results of a call, in order; empty while it waits.
  template <typename T>
  using Results = std::vector<absl::StatusOr<T>>;
  template <typename T>
  static auto Into(Results<T>& results) {
    return [&results](absl::StatusOr<T> result) { results.push_back(std::move(result)); };
  }

  Results<std::string>& Status(Clock::duration patience = 3s) {
    statuses_.emplace_back();
    keys_->Status(now_ + patience, Into(statuses_.back()));
    return statuses_.back();
  }
  // Status, which must not wait.
  absl::StatusOr<std::string> StatusNow() {
    const auto& results = Status();
    if (results.size() == 1) return results[0];
    return absl::UnknownError("it waits");
  }
  Results<Encrypted>& Encrypt(absl::string_view text = "seed") {
    encrypted_.emplace_back();
    keys_->Encrypt(Plain(text), now_ + 3s, Into(encrypted_.back()));
    return encrypted_.back();
  }
  Results<Secret>& Decrypt(const std::string& key_id = "key-1") {
    decrypted_.emplace_back();
    keys_->Decrypt(key_id, Record(), now_ + 3s, Into(decrypted_.back()));
    return decrypted_.back();
  }

  // Lets time pass, as the main loop sees it.
  void Pass(Clock::duration time) {
    const Deadline end = now_ + time;
    while (now_ < end) {
      now_ = std::min({end, std::max(keys_->Tick(), now_ + 1ms)});
    }
    keys_->Tick();
  }
  // Until a check asks something.
  void AwaitCheck() {
    for (int i = 0; i < 1000 && backend_->pending() == 0; ++i) Pass(100ms);
    ASSERT_NE(backend_->pending(), 0u) << "no check is made";
  }

  static Ciphertext Record() { return {"ciphertext", {{"iv.okms.ovh.com", "iv"}}}; }
  static KeyInfo Active() { return test::ActiveKey({{"kek"}}); }
  void Inspected(absl::StatusOr<KeyInfo> info = Active()) {
    FakeBackend::Answer<KeyInfo>(backend_->inspect, std::move(info));
  }
  // Answers an encryption and the decryption that follows, as a KMS that works.
  void RoundTrip(const std::string& key_id = "key-1") {
    const auto encrypt = FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record());
    EXPECT_EQ(encrypt.name, key_id);
    ASSERT_THAT(backend_->decrypt, SizeIs(1));
    const auto decrypt = FakeBackend::Answer<Secret>(backend_->decrypt, Plain(encrypt.input));
    EXPECT_EQ(decrypt.name, key_id);
    EXPECT_EQ(decrypt.input, "ciphertext");
    EXPECT_EQ(decrypt.way, Way::kChecks) << "not by the connection of the other";
  }
  // From nothing to an adopted key.
  void Adopt() {
    keys_->Tick();
    Inspected();
    RoundTrip();
    ASSERT_THAT(StatusNow(), IsOk());
    log_.clear();
  }

  Deadline now_ = Clock::now();
  Lines log_;
  const Logger logger_{
      true, [this](const Event& event) { log_.emplace_back(event.severity, event.text); }};
  FakeBackend* backend_ = nullptr;
  // Not vectors: a callback keeps a reference to its results.
  std::deque<Results<std::string>> statuses_;
  std::deque<Results<Encrypted>> encrypted_;
  std::deque<Results<Secret>> decrypted_;
  std::unique_ptr<KeyManager> keys_;
};

// ---- From nothing to a key

TEST_F(KeyManagerTest, AdoptsAKeyOnlyAfterItsRoundTrip) {
  auto& status = Status();
  keys_->Tick();
  Inspected();
  const auto sent = FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record());
  EXPECT_THAT(status, IsEmpty());
  EXPECT_EQ(keys_->Current().key_id, "");
  FakeBackend::Answer<Secret>(backend_->decrypt, Plain(sent.input));
  ASSERT_THAT(status, SizeIs(1));
  ASSERT_THAT(status[0], IsOk());
  EXPECT_EQ(*status[0], "key-1");
  EXPECT_EQ(log_, (Lines{{Severity::kNotice, "ready: key key-1 encrypts and decrypts"}}));
}

TEST_F(KeyManagerTest, KeyThatDecryptsToSomethingElseIsNotAdopted) {
  keys_->Tick();
  Inspected();
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record());
  FakeBackend::Answer<Secret>(backend_->decrypt, Plain(std::string(32, 'x')));
  EXPECT_THAT(StatusNow(), StatusIs(Code::kDataLoss, HasSubstr("nothing is encrypted with this")));
  EXPECT_EQ(keys_->Current().key_id, "");
  EXPECT_THAT(Encrypt().at(0), StatusIs(Code::kDataLoss, HasSubstr("nothing is encrypted")));
}

TEST_F(KeyManagerTest, UnknownKeyIsNamedWithItsFlag) {
  keys_->Tick();
  Inspected(absl::NotFoundError("no such object"));
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, absl::NotFoundError("nothing of that id"));
  EXPECT_THAT(StatusNow(),
              StatusIs(Code::kNotFound, "--encryption-key-id: key key-1: no such object"));
  EXPECT_EQ(log_, (Lines{{Severity::kError,
                          "not ready: NOT_FOUND: --encryption-key-id: key key-1: no such "
                          "object"}}));
}

TEST_F(KeyManagerTest, ACheckThatIsAskedForMakesARoundTripSoon) {
  Adopt();
  Pass(2s);  // a check of its own would come after 10, without a round trip
  ASSERT_EQ(backend_->pending(), 0U);
  keys_->CheckSoon();
  Inspected();
  RoundTrip();
  const Deadline first = now_;
  for (int i = 0; i < 100; ++i) keys_->CheckSoon();
  EXPECT_EQ(backend_->pending(), 0U);  // twice a second is enough
  AwaitCheck();
  EXPECT_GE(now_ - first, 500ms);
  Inspected();
  RoundTrip();
  Pass(5s);
  EXPECT_EQ(backend_->pending(), 0U);  // all of those were one
}

TEST_F(KeyManagerTest, EveryOperationOfACheckHasItsOwnDeadline) {
  keys_->Tick();
  EXPECT_EQ(backend_->inspect.front().deadline, now_ + kTimeout);
  EXPECT_EQ(keys_->CheckDeadline(), now_ + kTimeout);
  now_ += 2s;
  Inspected();
  EXPECT_EQ(backend_->encrypt.front().deadline, now_ + kTimeout);
  now_ += 2s;
  const auto sent = FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record());
  EXPECT_EQ(backend_->decrypt.front().deadline, now_ + kTimeout);
  EXPECT_EQ(keys_->CheckDeadline(), now_ + kTimeout);
  now_ += 9s;
  FakeBackend::Answer<Secret>(backend_->decrypt, Plain(sent.input));
  EXPECT_THAT(StatusNow(), IsOk());
  EXPECT_EQ(keys_->CheckDeadline(), Deadline::max());
}

// Every call answered, each after so long: never an error, by the clock of a day.
class SlowKmsTest : public KeyManagerTest,
                    public testing::WithParamInterface<std::chrono::milliseconds> {
 protected:
  // Answers what was asked so long ago.
  void Serve() {
    const auto due = [&](const auto& calls) {
      return !calls.empty() && calls.front().deadline - kTimeout + GetParam() <= now_;
    };
    while (due(backend_->inspect)) Inspected();
    while (due(backend_->encrypt)) {
      const std::string input = backend_->encrypt.front().input;
      FakeBackend::Answer<Ciphertext>(backend_->encrypt, Ciphertext{input + "-wrapped", {}});
    }
    while (due(backend_->decrypt)) {
      const std::string input = backend_->decrypt.front().input;
      FakeBackend::Answer<Secret>(backend_->decrypt, Plain(input.substr(0, input.find("-wrap"))));
    }
  }
};

TEST_P(SlowKmsTest, IsAKmsThatWorks) {
  const Deadline begin = now_;
  while (keys_->Current().key_id.empty()) {
    Pass(50ms);
    Serve();
    ASSERT_LT(now_ - begin, 3 * GetParam() + 1s) << "ready as soon as its three answers are there";
  }
  for (int i = 0; i < 20 * 60 * 10; ++i) {
    Pass(50ms);
    Serve();
    ASSERT_THAT(StatusNow(), IsOk()) << "after " << (now_ - begin) / 1s << " s";
  }
  EXPECT_THAT(log_, SizeIs(1));
}

INSTANTIATE_TEST_SUITE_P(Delay, SlowKmsTest, testing::Values(1ms, 700ms, 900ms, 2100ms, 3400ms, 9s),
                         [](const auto& test) { return std::to_string(test.param.count()); });

// ---- Status

TEST_F(KeyManagerTest, StatusOfAWorkingKeyAsksNobody) {
  Adopt();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(*StatusNow(), "key-1");
  EXPECT_EQ(backend_->pending(), 0u);
}

TEST_F(KeyManagerTest, StatusWaitsForTheVeryFirstVerdictOnly) {
  auto& first = Status();
  auto& second = Status();
  keys_->Tick();
  EXPECT_THAT(first, IsEmpty());
  Inspected(absl::UnavailableError("connect: refused"));
  ASSERT_THAT(first, SizeIs(1));
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_THAT(first[0], StatusIs(Code::kUnavailable, "connect: refused"));
  AwaitCheck();  // the next one hangs
  EXPECT_THAT(StatusNow(), StatusIs(Code::kUnavailable, "connect: refused"));
}

TEST_F(KeyManagerTest, WhoWaitsInVainIsAnsweredInTime) {
  auto& status = Status(3s);
  keys_->Tick();
  Pass(2900ms);
  EXPECT_THAT(status, IsEmpty());
  Pass(100ms);
  ASSERT_THAT(status, SizeIs(1));
  EXPECT_THAT(status[0], StatusIs(Code::kDeadlineExceeded, "the KMS does not answer"));
}

TEST_F(KeyManagerTest, StatusNeverWaitsForACheckOfAnAdoptedKey) {
  Adopt();
  Pass(10s);
  ASSERT_NE(backend_->pending(), 0u);
  for (int i = 0; i < 100; ++i) {  // while it hangs
    EXPECT_THAT(Status(), SizeIs(1));
    Pass(1s);
  }
}

TEST_F(KeyManagerTest, SilenceIsAnErrorAfterTenSeconds) {
  Adopt();
  Pass(10s);
  ASSERT_NE(backend_->pending(), 0u);
  Pass(9999ms);
  EXPECT_THAT(StatusNow(), IsOk());
  EXPECT_THAT(log_, IsEmpty());
  Pass(1ms);
  EXPECT_THAT(StatusNow(), StatusIs(Code::kDeadlineExceeded, "the KMS does not answer"));
  Pass(1s);
  EXPECT_EQ(log_, (Lines{{Severity::kError,
                          "not ready: DEADLINE_EXCEEDED: the KMS does not "
                          "answer"}}));
}

TEST_F(KeyManagerTest, TheFirstSuccessEndsSilenceAtOnce) {
  Adopt();
  Pass(30s);
  ASSERT_THAT(StatusNow(), StatusIs(Code::kDeadlineExceeded, testing::_));
  log_.clear();
  Decrypt("an older key");
  FakeBackend::Answer<Secret>(backend_->decrypt, Plain("seed"));
  EXPECT_THAT(StatusNow(), IsOk());
  EXPECT_EQ(log_.back(), (Lines::value_type{Severity::kNotice, "ready again: key key-1"}));
}

TEST_F(KeyManagerTest, FailedCallsAreEvidenceToo) {
  Adopt();
  const Deadline begin = now_;
  while (now_ - begin < 10s) {
    ASSERT_THAT(StatusNow(), IsOk());
    Decrypt();
    Pass(1s);
    FakeBackend::Answer<Secret>(backend_->decrypt, absl::UnavailableError("reset"));
  }
  EXPECT_THAT(StatusNow(), StatusIs(Code::kUnavailable, "reset"));
}

TEST_F(KeyManagerTest, CallsThatSucceedOutweighChecksThatFail) {
  Adopt();
  for (int i = 0; i < 1638; ++i) {
    Decrypt();
    FakeBackend::Answer<Secret>(backend_->decrypt, Plain("seed"));
    while (!backend_->inspect.empty()) Inspected(absl::DeadlineExceededError("late"));
    ASSERT_THAT(StatusNow(), IsOk());
    Pass(100ms);
  }
}

TEST_F(KeyManagerTest, ANoIsAnErrorAtOnce) {
  Adopt();
  Pass(10s);
  Inspected(test::DeactivatedKey());
  EXPECT_THAT(StatusNow(),
              StatusIs(Code::kFailedPrecondition, "key key-1 is in state Deactivated, not Active"));
  // It still decrypts, which does not make it one that encrypts.
  Decrypt();
  FakeBackend::Answer<Secret>(backend_->decrypt, Plain("seed"));
  EXPECT_THAT(StatusNow(), StatusIs(Code::kFailedPrecondition, testing::_));
  AwaitCheck();
  Inspected();
  RoundTrip();
  EXPECT_THAT(StatusNow(), IsOk());
}

// ---- Encrypt

TEST_F(KeyManagerTest, WhatIsEncryptedIsDecryptedBeforeItIsAnswered) {
  Adopt();
  auto& result = Encrypt("seed");
  EXPECT_EQ(backend_->encrypt.front().way, Way::kEncrypts);
  EXPECT_EQ(backend_->encrypt.front().input, "seed");
  EXPECT_EQ(backend_->encrypt.front().deadline, now_ + 3s);
  now_ += 1s;
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record());
  EXPECT_THAT(result, IsEmpty());
  EXPECT_EQ(backend_->decrypt.front().deadline, now_ + 2s);
  FakeBackend::Answer<Secret>(backend_->decrypt, Plain("seed"));
  ASSERT_THAT(result, SizeIs(1));
  ASSERT_THAT(result[0], IsOk());
  EXPECT_EQ(result[0]->key_id, "key-1");
  EXPECT_EQ(result[0]->ciphertext.bytes, "ciphertext");
  EXPECT_EQ(result[0]->ciphertext.annotations, Record().annotations);
  EXPECT_EQ(backend_->pending(), 0u);
}

TEST_F(KeyManagerTest, AMisfitStopsEncryptUntilTheKeyIsProven) {
  Adopt();
  auto& result = Encrypt("seed");
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record());
  now_ += 1s;
  FakeBackend::Answer<Secret>(backend_->decrypt, Plain("sEed"));
  ASSERT_THAT(result, SizeIs(1));
  EXPECT_THAT(result[0], StatusIs(Code::kDataLoss, HasSubstr("to something else")));
  EXPECT_THAT(StatusNow(), StatusIs(Code::kDataLoss, HasSubstr("to something else")));
  EXPECT_THAT(Encrypt().at(0), StatusIs(Code::kDataLoss, HasSubstr("to something else")));
  EXPECT_THAT(backend_->encrypt, IsEmpty());
  ASSERT_THAT(backend_->inspect, SizeIs(1)) << "it is checked at once";
  Inspected();
  RoundTrip();
  EXPECT_THAT(StatusNow(), IsOk());
  EXPECT_THAT(Encrypt(), IsEmpty());
  RoundTrip();
  EXPECT_THAT(encrypted_.back().at(0), IsOk());
}

TEST_F(KeyManagerTest, EncryptBeforeAdoptionWaitsForTheCheck) {
  auto& result = Encrypt();
  keys_->Tick();
  Inspected();
  RoundTrip();
  EXPECT_THAT(result, IsEmpty());
  EXPECT_EQ(backend_->encrypt.front().input, "seed");
  RoundTrip();
  ASSERT_THAT(result, SizeIs(1));
  EXPECT_EQ(result[0]->key_id, "key-1");
}

TEST_F(KeyManagerTest, EncryptBeforeAdoptionGivesTheReasonOfTheFailedCheck) {
  auto& result = Encrypt();
  keys_->Tick();
  Inspected(absl::UnavailableError("refused"));
  ASSERT_THAT(result, SizeIs(1));
  EXPECT_THAT(result[0], StatusIs(Code::kUnavailable, "refused"));
  EXPECT_THAT(backend_->encrypt, IsEmpty());
}

TEST_F(KeyManagerTest, EncryptKeepsTheAdoptedKeyWhileItsChecksFail) {
  Adopt();
  Pass(10s);
  Inspected(absl::PermissionDeniedError("no longer yours"));
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, absl::PermissionDeniedError("nor that"));
  ASSERT_FALSE(StatusNow().ok());
  auto& result = Encrypt();
  RoundTrip();
  EXPECT_THAT(result.at(0), IsOk());
  EXPECT_THAT(StatusNow(), IsOk()) << "which proves that it works";
}

TEST_F(KeyManagerTest, RefusesSizesThatCannotBe) {
  Adopt();
  EXPECT_THAT(Encrypt("").at(0), StatusIs(Code::kInvalidArgument, "the plaintext is empty"));
  EXPECT_THAT(Encrypt(std::string(1009, 'p')).at(0),
              StatusIs(Code::kInvalidArgument, "the plaintext has 1009 bytes; the limit is 1008"));
  EXPECT_THAT(Decrypt("").at(0), StatusIs(Code::kInvalidArgument, "the key id is empty"));
  EXPECT_EQ(backend_->pending(), 0u);
}

TEST_F(KeyManagerTest, DecryptsWithTheKeyOfTheRecordWhateverTheCurrentOne) {
  auto& result = Decrypt("an older key");  // and before any key was adopted
  EXPECT_EQ(backend_->decrypt.front().way, Way::kDecrypts);
  const auto call = FakeBackend::Answer<Secret>(backend_->decrypt, Plain("seed"));
  EXPECT_EQ(call.name, "an older key");
  EXPECT_EQ(AsText(result.at(0)->Reveal()), "seed");
}

// ---- Suspicion

TEST_F(KeyManagerTest, FailedCallsHaveTheKeyProvenAtOnce) {
  Adopt();
  for (const absl::Status& status :
       {absl::UnavailableError("closed"), absl::PermissionDeniedError("no longer yours"),
        absl::DataLossError("garbage"), absl::InternalError("GeneralFailure")}) {
    now_ += 1s;
    Encrypt();
    FakeBackend::Answer<Ciphertext>(backend_->encrypt, status);
    ASSERT_THAT(backend_->inspect, SizeIs(1)) << status;
    Inspected();
    ASSERT_THAT(backend_->encrypt, SizeIs(1)) << "attributes are not enough";
    EXPECT_EQ(backend_->encrypt.front().way, Way::kChecks);
    RoundTrip();
    EXPECT_THAT(StatusNow(), IsOk());
  }
  now_ += 1s;
  Decrypt();
  FakeBackend::Answer<Secret>(backend_->decrypt, absl::PermissionDeniedError("no"));
  EXPECT_THAT(StatusNow(), IsOk()) << "it may be the record's fault";
  EXPECT_THAT(backend_->inspect, SizeIs(1));
}

TEST_F(KeyManagerTest, NothingIsStartedForWhatTellsNothing) {
  Adopt();
  now_ += 1s;
  for (const absl::Status& status :
       {absl::InvalidArgumentError("bad"), absl::ResourceExhaustedError("busy"),
        absl::CancelledError("the end")}) {
    Encrypt();
    FakeBackend::Answer<Ciphertext>(backend_->encrypt, status);
    Decrypt();
    FakeBackend::Answer<Secret>(backend_->decrypt, status);
    EXPECT_EQ(encrypted_.back().at(0).status(), status);
    EXPECT_EQ(decrypted_.back().at(0).status(), status);
  }
  Decrypt("an older key");
  FakeBackend::Answer<Secret>(backend_->decrypt, absl::PermissionDeniedError("deactivated"));
  EXPECT_EQ(backend_->pending(), 0u);
  EXPECT_THAT(StatusNow(), IsOk());
}

TEST_F(KeyManagerTest, ASuspicionDuringACheckIsNotLost) {
  Adopt();
  Pass(10s);
  ASSERT_THAT(backend_->inspect, SizeIs(1));
  now_ += 1s;
  Decrypt();
  FakeBackend::Answer<Secret>(backend_->decrypt, absl::PermissionDeniedError("no"));
  ASSERT_THAT(backend_->inspect, SizeIs(2)) << "one that began after it";
  Inspected();  // the older one, for which attributes are enough
  EXPECT_THAT(backend_->encrypt, IsEmpty());
  Inspected();
  EXPECT_THAT(backend_->encrypt, SizeIs(1));
}

TEST_F(KeyManagerTest, AStormOfSuspicionsIsNoStormOfChecks) {
  Adopt();
  const Deadline begin = now_;
  int checks = 0;
  while (now_ - begin < 10s) {
    Decrypt();
    FakeBackend::Answer<Secret>(backend_->decrypt, absl::PermissionDeniedError("no"));
    now_ += 1ms;
    keys_->Tick();
    if (backend_->inspect.empty()) continue;
    ++checks;
    Inspected();
    RoundTrip();
  }
  EXPECT_LE(checks, 20);
  EXPECT_GE(checks, 19);
}

TEST_F(KeyManagerTest, ACheckThatHangsDoesNotKeepTheNextOneWaiting) {
  Adopt();
  Pass(10s);
  ASSERT_THAT(backend_->inspect, SizeIs(1));
  Pass(2500ms);
  ASSERT_THAT(backend_->inspect, SizeIs(2));
  FakeBackend::Answer<KeyInfo>(backend_->inspect, absl::DeadlineExceededError("dead"));
  Inspected();
  EXPECT_THAT(StatusNow(), IsOk());
  EXPECT_THAT(log_, IsEmpty());
}

// ---- What an answer about something else does not mend

TEST_F(KeyManagerTest, AKeyThatIsShownButDoesNotEncryptIsAnErrorAfterTenSeconds) {
  Adopt();
  const Deadline begin = now_;
  while (now_ - begin < 60s) {
    Pass(100ms);
    while (!backend_->inspect.empty()) Inspected();
    while (!backend_->encrypt.empty()) {
      FakeBackend::Answer<Ciphertext>(backend_->encrypt, absl::InternalError("GeneralFailure"));
    }
    Decrypt("an older key");  // the KMS answers all else
    FakeBackend::Answer<Secret>(backend_->decrypt, Plain("seed"));
  }
  EXPECT_THAT(StatusNow(), StatusIs(Code::kInternal, "GeneralFailure"));
  AwaitCheck();
  Inspected();
  RoundTrip();
  EXPECT_THAT(StatusNow(), IsOk());
}

TEST_F(KeyManagerTest, AMisfitIsNotMendedByAttributes) {
  Adopt();
  now_ += 1s;
  Encrypt("seed");
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record());
  FakeBackend::Answer<Secret>(backend_->decrypt, Plain("sEed"));
  ASSERT_THAT(backend_->inspect, SizeIs(1));
  auto hangs = std::move(backend_->inspect.front());
  backend_->inspect.clear();
  AwaitCheck();  // the one beside it, well within what a proof lasts
  Inspected();
  EXPECT_THAT(StatusNow(), StatusIs(Code::kDataLoss, testing::_));
  RoundTrip();
  EXPECT_THAT(StatusNow(), IsOk());
}

TEST_F(KeyManagerTest, ARequestThatMakesTooLargeACiphertextIsNoMisfit) {
  Adopt();
  auto& result = Encrypt(std::string(800, 'p'));
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, Ciphertext{std::string(1100, 'c'), {}});
  ASSERT_THAT(result, SizeIs(1));
  EXPECT_THAT(result[0], StatusIs(Code::kInvalidArgument, HasSubstr("1100 bytes")));
  EXPECT_THAT(StatusNow(), IsOk());
  EXPECT_EQ(backend_->pending(), 0u);
}

TEST_F(KeyManagerTest, ANoToTheQuestionForAttributesIsDecidedByARoundTrip) {
  Adopt();
  for (const absl::Status& no :
       {absl::NotFoundError("HTTP 404"), absl::FailedPreconditionError("HTTP 405"),
        absl::PermissionDeniedError("no"), absl::InvalidArgumentError("HTTP 400")}) {
    AwaitCheck();
    Inspected(no);
    RoundTrip();
    EXPECT_THAT(StatusNow(), IsOk()) << no;
  }
  EXPECT_THAT(log_, IsEmpty());
}

// ---- Another id

class IdTest : public KeyManagerTest {
 protected:
  void Named(const std::string& id) { keys_->SetName({id, "--encryption-key-id-file"}); }
  // A check begins, and finds the key in use well.
  void CheckInUse(const std::string& key_id = "key-1") {
    AwaitCheck();
    EXPECT_EQ(backend_->inspect.front().name, key_id);
    Inspected();
    while (!backend_->encrypt.empty()) RoundTrip(key_id);
  }
  // ... and then that the candidate works.
  void Prove(const std::string& id, const std::string& in_use = "key-1") {
    CheckInUse(in_use);
    ASSERT_THAT(backend_->inspect, SizeIs(1));
    EXPECT_EQ(backend_->inspect.front().name, id);
    Inspected();
    RoundTrip(id);
  }
  void Replace(const std::string& id, const std::string& in_use = "key-1") {
    Named(id);
    Prove(id, in_use);
    Prove(id, in_use);
    ASSERT_EQ(*StatusNow(), id);
    log_.clear();
  }
  static std::pair<Severity, std::string> Seen(const std::string& id) {
    return {Severity::kNotice, "the key's name leads to key " + id +
                                   " now, which is being proven; key key-1 stays in use"};
  }
};

TEST_F(IdTest, IsCheckedAtOnceAndAdoptedWhenTwoChecksHaveProvenIt) {
  Adopt();
  Pass(1s);
  Named("key-2");
  const Deadline named = now_;
  EXPECT_EQ(log_, Lines{Seen("key-2")});
  EXPECT_THAT(StatusLine(keys_->Current(), now_, ""),
              HasSubstr("key key-1; new key for 0 s (the key's name leads to key key-2 now"));
  Prove("key-2");
  EXPECT_EQ(now_, named);
  EXPECT_EQ(*StatusNow(), "key-1");
  Prove("key-2");
  EXPECT_LE(now_ - named, 6s);
  EXPECT_EQ(*StatusNow(), "key-2");
  EXPECT_EQ(
      log_,
      (Lines{
          Seen("key-2"),
          {Severity::kNotice, "key key-2 works and is to be adopted; key key-1 stays in use"},
          {Severity::kNotice, "ready: key key-2 encrypts and decrypts; it replaces key key-1"}}));
  Encrypt();
  EXPECT_EQ(backend_->encrypt.front().name, "key-2");
  Decrypt("key-1");
  EXPECT_EQ(backend_->decrypt.front().name, "key-1");
}

TEST_F(IdTest, OfTheKeyInUseIsNoNews) {
  Adopt();
  Named("key-1");
  CheckInUse();
  EXPECT_EQ(backend_->pending(), 0u);
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(IdTest, ThatFailsIsSaidOnceWithWhatNamedItAndHarmsNothing) {
  const struct {
    absl::StatusOr<KeyInfo> seen;
    const char* why;
  } cases[] = {
      {absl::NotFoundError("no such object"),
       "--encryption-key-id-file: key key-2: no such object"},
      {test::DeactivatedKey(), "key key-2 is in state Deactivated, not Active"},
      {absl::DeadlineExceededError("no answer in time"), "key key-2: no answer in time"},
  };
  Adopt();
  for (const auto& [seen, why] : cases) {
    Named("key-2");
    for (int i = 0; i < 10; ++i) {
      CheckInUse();
      Inspected(seen);
      while (!backend_->encrypt.empty()) {
        FakeBackend::Answer<Ciphertext>(backend_->encrypt, absl::NotFoundError("no such key"));
      }
      ASSERT_EQ(*StatusNow(), "key-1");
    }
    EXPECT_EQ(log_, (Lines{Seen("key-2"),
                           {Severity::kError, absl::StrCat("trouble with the key's name: ", why,
                                                           "; key key-1 stays in use")}}));
    EXPECT_THAT(StatusLine(keys_->Current(), now_, ""), HasSubstr(why));
    log_.clear();
    Named("key-1");
    EXPECT_EQ(log_, (Lines{{Severity::kNotice, "the key's name leads to key key-1 again"}}));
    log_.clear();
  }
}

TEST_F(IdTest, IsLookedAtUntilItWorks) {
  Adopt();
  Named("key-2");
  CheckInUse();
  Inspected(test::DeactivatedKey());
  Prove("key-2");
  Prove("key-2");
  EXPECT_EQ(*StatusNow(), "key-2");
}

TEST_F(IdTest, BackToTheKeyInUseEndsIt) {
  Adopt();
  Named("key-2");
  Prove("key-2");
  Named("key-1");
  CheckInUse();
  EXPECT_EQ(backend_->pending(), 0u);
  Named("key-2");
  Prove("key-2");
  EXPECT_EQ(*StatusNow(), "key-1") << "the count began again";
}

TEST_F(IdTest, TheOneThatIsNamedLastCounts) {
  Adopt();
  Named("key-2");
  CheckInUse();
  ASSERT_THAT(backend_->inspect, SizeIs(1));
  auto hangs = std::move(backend_->inspect.front());
  backend_->inspect.clear();
  Named("key-3");
  Pass(500ms);
  Prove("key-3");
  hangs.done(Active());
  RoundTrip("key-2");  // of which nothing is known by that
  EXPECT_THAT(keys_->Current().note->text, "key key-3 works and is to be adopted");
  Prove("key-3");
  EXPECT_EQ(*StatusNow(), "key-3");
}

// What is asked within a check is asked after the name has come.
TEST_F(IdTest, ACheckThatIsUnderWayTakesItUp) {
  Adopt();
  AwaitCheck();
  Named("key-2");
  Inspected();
  EXPECT_EQ(backend_->inspect.front().name, "key-2");
}

TEST_F(IdTest, AKeyThatWasReplacedComesBackAfterThreeMinutes) {
  Adopt();
  Pass(1s);
  Replace("key-2");
  Named("key-1");
  const Deadline named = now_;
  while (*StatusNow() == "key-2") {
    Prove("key-1", "key-2");
    ASSERT_LE(now_ - named, 190s);
  }
  EXPECT_EQ(*StatusNow(), "key-1");
  EXPECT_GE(now_ - named, 3min);
  EXPECT_THAT(log_, SizeIs(3));
  EXPECT_EQ(log_.at(1).second,
            "key key-1 works and is to be adopted again when its name has stayed for 3 minutes; "
            "key key-2 stays in use");
}

TEST_F(IdTest, WhileTheKeyInUseIsRefusedAReplacedOneComesBackSoon) {
  Adopt();
  Pass(1s);
  Replace("key-2");
  Named("key-1");
  const Deadline named = now_;
  while (keys_->Current().key_id == "key-2" && now_ - named < 1min) {
    AwaitCheck();
    Inspected(test::DeactivatedKey());
    Inspected();
    RoundTrip("key-1");
  }
  EXPECT_EQ(*StatusNow(), "key-1");
  EXPECT_LE(now_ - named, 10s);
}

// A rule against servers that ignore the name in a search.
TEST_F(IdTest, MayHideItsLabel) {
  Adopt();
  Named("key-2");
  for (int i = 0; i < 2; ++i) {
    CheckInUse();
    Inspected(test::ActiveKey());
    RoundTrip("key-2");
  }
  EXPECT_EQ(*StatusNow(), "key-2");
  EXPECT_FALSE(keys_->Current().name_unproven);
}

TEST_F(IdTest, WithoutAKeyItsTurnIsAtOnce) {
  keys_->Tick();
  Inspected(absl::NotFoundError("no such object"));
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, absl::NotFoundError("no such key"));
  ASSERT_THAT(StatusNow(), StatusIs(Code::kNotFound, HasSubstr("key-1")));
  log_.clear();
  Pass(500ms);  // a check of the first one is under way
  ASSERT_THAT(backend_->inspect, SizeIs(1));
  auto first = std::move(backend_->inspect.front());
  backend_->inspect.clear();
  Named("key-2");
  auto& status = Status();
  EXPECT_THAT(status, IsEmpty()) << "nothing is known of that one";
  first.done(Active());
  RoundTrip("key-1");
  EXPECT_EQ(keys_->Current().key_id, "") << "it is not named any more";
  Pass(500ms);
  EXPECT_EQ(backend_->inspect.front().name, "key-2");
  Inspected();
  RoundTrip("key-2");
  EXPECT_EQ(*status.at(0), "key-2");
  EXPECT_EQ(log_, (Lines{{Severity::kNotice, "ready: key key-2 encrypts and decrypts"}}));
}

// ---- Decrypts under other keys

TEST_F(KeyManagerTest, DecryptsUnderOtherKeysAreCountedAndSaidOnce) {
  Adopt();
  const auto decrypt = [this](const std::string& key_id, absl::StatusOr<Secret> answer) {
    Decrypt(key_id);
    FakeBackend::Answer<Secret>(backend_->decrypt, std::move(answer));
  };
  decrypt("key-1", Plain("seed"));
  decrypt("none", absl::NotFoundError("nothing of that id"));
  EXPECT_THAT(keys_->OtherDecrypts().by_key, IsEmpty());
  EXPECT_EQ(StatusLine(keys_->Current(), now_, ""), "serving; key key-1");
  for (int i = 0; i < 12; ++i) decrypt("key-0", Plain("seed"));
  EXPECT_THAT(keys_->OtherDecrypts().by_key, ElementsAre(std::pair(std::string("key-0"), 12u)));
  EXPECT_EQ(StatusLine(keys_->Current(), now_, "; more"),
            "serving; key key-1; 12 Decrypts under 1 other key; more");
  EXPECT_EQ(log_, (Lines{{Severity::kNotice,
                          "a record of key key-0 was decrypted: it is still needed beside key "
                          "key-1"}}));
}

TEST_F(KeyManagerTest, WithoutAKeyThereIsNoOtherOne) {
  Decrypt("key-0");
  FakeBackend::Answer<Secret>(backend_->decrypt, Plain("seed"));
  EXPECT_THAT(keys_->OtherDecrypts().by_key, IsEmpty());
  EXPECT_THAT(log_, IsEmpty());
}

// ---- The end

TEST_F(KeyManagerTest, ACancelledCheckIsNoVerdictAndNoLine) {
  Adopt();
  Pass(10s);
  Inspected(absl::CancelledError("the end"));
  EXPECT_THAT(log_, IsEmpty());
  EXPECT_THAT(StatusNow(), IsOk());
}

TEST_F(KeyManagerTest, TheEndWaitsForNoVerdict) {
  auto& before = Status();
  keys_->Tick();
  keys_->Stop();
  ASSERT_THAT(before, SizeIs(1));
  EXPECT_THAT(before[0], StatusIs(Code::kUnavailable, "no key has been verified yet"));
  EXPECT_THAT(Status(), SizeIs(1));
  backend_->inspect.clear();
  Pass(1min);
  EXPECT_EQ(backend_->pending(), 0u);
}

TEST_F(KeyManagerTest, MayGoWhileACheckRuns) {
  keys_->Tick();
  keys_.reset();
}

// ---- By label

class LabelTest : public KeyManagerTest {
 protected:
  LabelTest() : KeyManagerTest(KeyLabel{"kek"}) {}

  void Located(std::vector<std::string> ids) {
    const auto call =
        FakeBackend::Answer<okms::Located>(backend_->locate, okms::Located{std::move(ids), false});
    EXPECT_EQ(call.name, "kek");
  }
  void AdoptByLabel() {
    keys_->Tick();
    Located({"key-1"});
    Inspected();
    RoundTrip();
    ASSERT_THAT(StatusNow(), IsOk());
    log_.clear();
  }
  // One check: the key in use is well, and the label leads to `ids`, of which the new ones are
  // active.
  void CheckLeadsTo(std::vector<std::string> ids) {
    AwaitCheck();
    Inspected();
    while (!backend_->encrypt.empty()) RoundTrip();
    const std::size_t others = ids.size() - (std::count(ids.begin(), ids.end(), "key-1") > 0);
    Located(std::move(ids));
    for (std::size_t i = 0; i < others; ++i) Inspected();
  }
  // For longer than the grace, with the key in use well.
  void ExpectNoErrorThoughTheSearchSays(const absl::Status& status) {
    const Deadline begin = now_;
    while (now_ - begin < 2 * kGrace) {
      AwaitCheck();
      Inspected();
      while (!backend_->encrypt.empty()) RoundTrip();
      FakeBackend::Answer<okms::Located>(backend_->locate, status);
      ASSERT_THAT(StatusNow(), IsOk());
    }
  }
};

TEST_F(LabelTest, ChecksTheKeyInUseAndItsName) {
  AdoptByLabel();
  CheckLeadsTo({"key-1"});
  EXPECT_EQ(backend_->pending(), 0u) << "it is not looked at twice";
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(LabelTest, ANewKeyIsAdoptedWhenTwoChecksHaveProvenIt) {
  AdoptByLabel();
  CheckLeadsTo({"key-2"});
  RoundTrip("key-2");
  EXPECT_EQ(*StatusNow(), "key-1");
  EXPECT_EQ(
      log_,
      (Lines{{Severity::kNotice,
              "the key's name leads to key key-2 now, which is being proven; key key-1 "
              "stays in use"},
             {Severity::kNotice, "key key-2 works and is to be adopted; key key-1 stays in use"}}));
  log_.clear();
  CheckLeadsTo({"key-2"});
  RoundTrip("key-2");
  EXPECT_EQ(*StatusNow(), "key-2");
  EXPECT_EQ(log_, (Lines{{Severity::kNotice,
                          "ready: key key-2 encrypts and decrypts; it replaces key key-1"}}));
  Encrypt();
  EXPECT_EQ(backend_->encrypt.front().name, "key-2");
}

TEST_F(LabelTest, StatsTellOfChecksAndKeys) {
  EXPECT_EQ(keys_->Stats().last_good, Deadline());
  AdoptByLabel();
  KeyStats stats = keys_->Stats();
  EXPECT_EQ(stats.good, 1);
  EXPECT_EQ(stats.last_good, now_);
  EXPECT_EQ(stats.last_answer, now_);
  EXPECT_EQ(stats.adoptions, 1);
  EXPECT_EQ(stats.candidates, 0);

  CheckLeadsTo({"key-2"});
  RoundTrip("key-2");
  stats = keys_->Stats();
  EXPECT_EQ(stats.good, 1);
  EXPECT_EQ(stats.undecided, 1);
  EXPECT_EQ(stats.adoptions, 1);
  EXPECT_EQ(stats.candidates, 1);
  EXPECT_EQ(keys_->Current().note->candidate, "key-2");

  CheckLeadsTo({"key-2"});
  RoundTrip("key-2");
  stats = keys_->Stats();
  EXPECT_EQ(stats.good, 2);
  EXPECT_EQ(stats.adoptions, 2);
  EXPECT_EQ(stats.candidates, 1);

  AwaitCheck();
  const Deadline answered = now_;
  now_ += 1s;
  Inspected(absl::UnavailableError("away"));
  stats = keys_->Stats();
  EXPECT_EQ(stats.bad, 1);
  EXPECT_LT(stats.last_good, now_);
  EXPECT_LE(stats.last_answer, answered);
}

TEST_F(LabelTest, ARequestKeepsTheKeyThatItBeganWith) {
  AdoptByLabel();
  auto& result = Encrypt();
  auto call = std::move(backend_->encrypt.front());
  backend_->encrypt.clear();
  for (int i = 0; i < 2; ++i) {
    CheckLeadsTo({"key-2"});
    RoundTrip("key-2");
  }
  ASSERT_EQ(*StatusNow(), "key-2");
  call.done(Record());
  EXPECT_EQ(backend_->decrypt.front().name, "key-1");
  FakeBackend::Answer<Secret>(backend_->decrypt, Plain("seed"));
  EXPECT_EQ(result.at(0)->key_id, "key-1");
}

TEST_F(LabelTest, ACandidateThatFailsIsSaidAndHarmsNothing) {
  AdoptByLabel();
  for (int i = 0; i < 100; ++i) {
    AwaitCheck();
    Inspected();
    while (!backend_->encrypt.empty()) RoundTrip();
    Located({"key-2"});
    Inspected(test::DeactivatedKey({{"kek"}}));
    EXPECT_EQ(*StatusNow(), "key-1");
  }
  EXPECT_EQ(log_, (Lines{{Severity::kNotice,
                          "the key's name leads to key key-2 now, which is being proven; key key-1 "
                          "stays in use"},
                         {Severity::kError,
                          "trouble with the key's name: key key-2 is in state Deactivated, not "
                          "Active; key key-1 stays in use"}}));
  EXPECT_THAT(StatusLine(keys_->Current(), now_, ""),
              HasSubstr("(key key-2 is in state Deactivated, not Active)"));
}

TEST_F(LabelTest, ALabelThatFitsNoKeyIsAnErrorAfterTheGrace) {
  AdoptByLabel();
  CheckLeadsTo({});
  const Deadline begin = now_;
  EXPECT_THAT(log_, ElementsAre(std::pair(
                        Severity::kError,
                        std::string("trouble with the key's name: no active symmetric key has the "
                                    "label \"kek\", or this client may not see it; key key-1 stays "
                                    "in use for a while (--label-grace)"))));
  while (now_ - begin < kGrace - 20s) {
    CheckLeadsTo({});
    ASSERT_EQ(*StatusNow(), "key-1");
  }
  while (now_ - begin < kGrace) CheckLeadsTo({});
  EXPECT_THAT(StatusNow(), StatusIs(Code::kNotFound, HasSubstr("no active symmetric key")));
  CheckLeadsTo({"key-1"});
  EXPECT_EQ(*StatusNow(), "key-1");
}

TEST_F(LabelTest, ReplicasThatDisagreeChangeNoKey) {
  AdoptByLabel();
  for (int i = 0; i < 200; ++i) {
    CheckLeadsTo({i % 2 == 0 ? "key-2" : "key-1"});
    if (i % 2 == 0) RoundTrip("key-2");
    ASSERT_EQ(*StatusNow(), "key-1");
  }
  EXPECT_LE(log_.size(), 12u) << "and in half an hour they fill no log";
}

TEST_F(LabelTest, SilenceOfTheSearchSaysNothingOfTheKey) {
  AdoptByLabel();
  for (int i = 0; i < 10; ++i) {
    AwaitCheck();
    Inspected();
    while (!backend_->encrypt.empty()) RoundTrip();
    FakeBackend::Answer<okms::Located>(backend_->locate, absl::DeadlineExceededError("late"));
    EXPECT_EQ(*StatusNow(), "key-1");
    EXPECT_THAT(log_, SizeIs(i == 0 ? 0 : 1)) << "but it is said once it lasts";
  }
  EXPECT_EQ(log_.at(0).second,
            "trouble with the key's name: the KMS does not say where it leads: late; key key-1 "
            "stays in use");
}

TEST_F(LabelTest, ASearchThatHangsIsNoSilenceOfTheKey) {
  AdoptByLabel();
  AwaitCheck();
  Inspected();
  ASSERT_THAT(backend_->locate, SizeIs(1));
  for (int i = 0; i < 200; ++i) {
    Pass(100ms);
    while (!backend_->inspect.empty()) Inspected();
    ASSERT_FALSE(keys_->Current().trouble) << i;
  }
}

TEST_F(LabelTest, WithoutAKeyASearchThatHangsIsTheReason) {
  auto& status = Status(3s);
  keys_->Tick();
  ASSERT_THAT(backend_->locate, SizeIs(1));
  Pass(3s);
  EXPECT_THAT(status.at(0), StatusIs(Code::kDeadlineExceeded, "the KMS does not answer"));
}

// A right that was withdrawn says nothing against the key.
TEST_F(LabelTest, ADeniedSearchIsNeverAnError) {
  AdoptByLabel();
  ExpectNoErrorThoughTheSearchSays(absl::PermissionDeniedError("not yours"));
  EXPECT_EQ(log_, (Lines{{Severity::kError,
                          "trouble with the key's name: the KMS does not say where it leads: not "
                          "yours; key key-1 stays in use"}}));
}

TEST_F(LabelTest, WhileTheLabelMakesStatusAnErrorItIsLookedAtSoon) {
  AdoptByLabel();
  const Deadline begin = now_;
  while (now_ - begin < kGrace + 20s) CheckLeadsTo({});
  ASSERT_FALSE(StatusNow().ok());
  Pass(2s);
  EXPECT_NE(backend_->pending(), 0u);
}

// A proof of it began before, and the KMS takes back what it said.
TEST_F(LabelTest, TheWayBackFromARefusedKeyIsShort) {
  AdoptByLabel();
  for (int i = 0; i < 2; ++i) {
    CheckLeadsTo({"key-2"});
    RoundTrip("key-2");
  }
  ASSERT_EQ(*StatusNow(), "key-2");
  const Deadline begin = now_;
  while (keys_->Current().key_id == "key-2" && now_ - begin < 2min) {
    AwaitCheck();
    Inspected(test::DeactivatedKey({{"kek"}}));
    Located({"key-1"});
    Inspected();
    RoundTrip();
  }
  EXPECT_EQ(keys_->Current().key_id, "key-1");
  EXPECT_LT(now_ - begin, 20s);
}

TEST_F(LabelTest, AMovedLabelRescuesAKeyThatDoesNotEncrypt) {
  AdoptByLabel();
  Pass(31s);  // its proof is over
  for (int i = 0; i < 60 && keys_->Current().key_id != "key-2"; ++i) {
    Pass(500ms);
    while (!backend_->inspect.empty()) Inspected();
    while (!backend_->locate.empty()) Located({"key-2"});
    while (!backend_->encrypt.empty()) {
      if (backend_->encrypt.front().name == "key-2") {
        RoundTrip("key-2");
      } else {
        FakeBackend::Answer<Ciphertext>(backend_->encrypt, absl::InternalError("GeneralFailure"));
      }
    }
  }
  EXPECT_EQ(keys_->Current().key_id, "key-2");
  EXPECT_THAT(StatusNow(), IsOk());
}

TEST_F(LabelTest, WhatALateCheckSawOfAKeyAdoptedMeanwhileCounts) {
  // Two checks side by side, each within its round trip.
  std::vector<FakeBackend::Call<Ciphertext>> calls;
  keys_->Tick();
  for (int i = 0; i < 2; ++i, Pass(2500ms)) {
    Located({"key-2"});
    Inspected();
    calls.push_back(std::move(backend_->encrypt.front()));
    backend_->encrypt.clear();
  }
  calls[1].done(Record());
  FakeBackend::Answer<Secret>(backend_->decrypt, Plain(calls[1].input));
  ASSERT_EQ(keys_->Current().key_id, "key-2");
  backend_->locate.clear();
  log_.clear();
  calls[0].done(absl::PermissionDeniedError("not yours"));
  EXPECT_FALSE(keys_->Current().note.has_value()) << "it is no candidate any more";
  AwaitCheck();
  EXPECT_EQ(backend_->inspect.front().name, "key-2");
  Inspected();
  EXPECT_THAT(backend_->encrypt, SizeIs(1)) << "it is suspect";
}

// A list that does not end, for one.
TEST_F(LabelTest, ASearchThatDoesNotEndKeepsNoLookAtTheKeyWaiting) {
  AdoptByLabel();
  const Deadline begin = now_;
  AwaitCheck();
  Inspected();
  ASSERT_THAT(backend_->locate, SizeIs(1));
  int looks = 0;
  while (now_ - begin < 60s) {
    Pass(100ms);
    while (!backend_->inspect.empty()) {
      Inspected();
      ++looks;
    }
    while (!backend_->encrypt.empty()) RoundTrip();
  }
  EXPECT_GE(looks, 4);
  EXPECT_THAT(backend_->locate, SizeIs(1)) << "one search is enough";
  EXPECT_THAT(StatusNow(), IsOk());
  EXPECT_EQ(log_, (Lines{{Severity::kError,
                          "trouble with the key's name: the KMS does not say where it leads: the "
                          "answer is not complete yet; key key-1 stays in use"}}));
  while (backend_->inspect.empty()) Pass(100ms);
  Inspected(test::DeactivatedKey({{"kek"}}));
  EXPECT_FALSE(StatusNow().ok());
}

// An error page of a proxy, for one.
TEST_F(LabelTest, WhatIsSaidToTheQuestionItselfIsNoAnswerToIt) {
  AdoptByLabel();
  ExpectNoErrorThoughTheSearchSays(absl::NotFoundError("HTTP 404"));
  EXPECT_THAT(log_, SizeIs(1));
}

TEST_F(LabelTest, WithoutAKeyWhatIsWrongWithTheNameIsTheReason) {
  keys_->Tick();
  Located({"key-1", "key-2"});
  Inspected();
  Inspected();
  EXPECT_THAT(StatusNow(), StatusIs(Code::kFailedPrecondition,
                                    HasSubstr("the label \"kek\" fits 2 active keys (key-1, "
                                              "key-2)")));
  EXPECT_THAT(log_, SizeIs(1));
}

TEST_F(LabelTest, AHiddenNameIsSaid) {
  keys_->Tick();
  Located({"key-1"});
  Inspected(test::ActiveKey());
  RoundTrip();
  EXPECT_EQ(*StatusNow(), "key-1");
  ASSERT_THAT(log_, SizeIs(2));
  EXPECT_THAT(log_[1].second, HasSubstr("the KMS hides the names of keys"));
}

}  // namespace
}  // namespace okms
