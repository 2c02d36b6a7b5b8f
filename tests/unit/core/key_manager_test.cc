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

#include "support/status_is.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::IsOk;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::chrono::milliseconds kTimeout = 10s;

// A KMS whose answers the test gives by hand.
class FakeBackend : public Backend {
 public:
  template <typename T>
  struct Call {
    std::string key_id;
    std::string input;
    Deadline deadline;
    Done<T> done;
  };

  void FindKey(Deadline deadline, Done<KeyInfo> done) override {
    find_key.push_back({"", "", deadline, std::move(done)});
  }
  void Encrypt(const std::string& key_id, Secret plaintext, Deadline deadline,
               Done<Ciphertext> done) override {
    encrypt.push_back({key_id, std::string(AsText(plaintext.Reveal())), deadline, std::move(done)});
  }
  void Decrypt(const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
               Done<Secret> done) override {
    decrypt.push_back({key_id, ciphertext.bytes, deadline, std::move(done)});
  }

  // Answers the oldest call of that kind; gives back what it was about.
  template <typename T>
  static Call<T> Answer(std::deque<Call<T>>& calls, absl::StatusOr<T> result) {
    if (calls.empty()) {
      ADD_FAILURE() << "nobody asked";
      return {};
    }
    Call<T> call = std::move(calls.front());
    calls.pop_front();
    call.done(std::move(result));
    return call;
  }
  std::size_t pending() const { return find_key.size() + encrypt.size() + decrypt.size(); }

  std::deque<Call<KeyInfo>> find_key;
  std::deque<Call<Ciphertext>> encrypt;
  std::deque<Call<Secret>> decrypt;
};

Secret Plain(absl::string_view text) { return Secret(AsBytes(text)); }

class KeyManagerTest : public ::testing::Test {
 protected:
  static Deadline Later() { return Clock::now() + 1h; }

  // Results of a call, in order; empty while it waits.
  template <typename T>
  using Results = std::vector<absl::StatusOr<T>>;

  template <typename T>
  static auto Into(Results<T>& results) {
    return [&results](absl::StatusOr<T> result) { results.push_back(std::move(result)); };
  }
  // What Status would answer now, without waiting.
  absl::StatusOr<std::string> Current() const {
    const Health health = keys_->Current();
    if (!health.status.ok()) return health.status;
    return health.key_id;
  }
  Results<std::string>& Status(Deadline deadline = Later()) {
    statuses_.emplace_back();
    keys_->Status(deadline, Into(statuses_.back()));
    return statuses_.back();
  }
  Results<Encrypted>& Encrypt(absl::string_view text = "seed", Deadline deadline = Later()) {
    encrypted_.emplace_back();
    keys_->Encrypt(Plain(text), deadline, Into(encrypted_.back()));
    return encrypted_.back();
  }

  void Found(std::string id, bool verified = true) {
    FakeBackend::Answer<KeyInfo>(backend_->find_key, KeyInfo{std::move(id), verified});
  }
  void NotFound(const std::string& why = "no such key") {
    FakeBackend::Answer<KeyInfo>(backend_->find_key, absl::NotFoundError(why));
  }
  static Ciphertext Record() { return {"ciphertext", {{"iv.okms.ovh.com", "iv"}}}; }
  // Answers the test encryption and decryption as a KMS that works.
  void RoundTrip(const std::string& id) {
    const auto encrypt = FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record());
    EXPECT_EQ(encrypt.key_id, id);
    EXPECT_EQ(encrypt.input.size(), 32u);
    ASSERT_THAT(backend_->decrypt, SizeIs(1));
    const auto decrypt = FakeBackend::Answer<Secret>(backend_->decrypt, Plain(encrypt.input));
    EXPECT_EQ(decrypt.key_id, id);
    EXPECT_EQ(decrypt.input, "ciphertext");
  }
  // From nothing to an adopted key.
  void Adopt(const std::string& id = "key-1") {
    keys_->Tick();
    Found(id);
    RoundTrip(id);
    ASSERT_THAT(Current(), IsOk());
    ASSERT_EQ(*Current(), id);
    log_.clear();
  }
  // A key that was adopted and whose check failed since.
  void AdoptThenFail(const std::string& why = "no such key") {
    Adopt();
    Suspect();
    NotFound(why);
    ASSERT_THAT(Current(), StatusIs(absl::StatusCode::kNotFound, why));
    log_.clear();
  }
  // Has a check started, by a call that fails.
  void Suspect() {
    Encrypt();
    FakeBackend::Answer<Ciphertext>(backend_->encrypt, absl::UnavailableError("closed"));
    ASSERT_THAT(backend_->find_key, SizeIs(1));
  }

  std::vector<std::pair<Severity, std::string>> log_;
  const Logger logger_{true, [this](Severity severity, absl::string_view line) {
                         log_.emplace_back(severity, std::string(line));
                       }};
  FakeBackend* backend_ = nullptr;
  // Not vectors: a callback keeps a reference to its results.
  std::deque<Results<std::string>> statuses_;
  std::deque<Results<Encrypted>> encrypted_;
  std::unique_ptr<KeyManager> keys_ = [this] {
    auto backend = std::make_unique<FakeBackend>();
    backend_ = backend.get();
    return std::make_unique<KeyManager>(std::move(backend), logger_, kTimeout);
  }();
};

// ---- From nothing to a key

TEST_F(KeyManagerTest, IsNotReadyAtFirst) {
  EXPECT_THAT(Current(), StatusIs(absl::StatusCode::kUnavailable, "no key has been verified yet"));
  EXPECT_EQ(backend_->pending(), 0u);
}

TEST_F(KeyManagerTest, AdoptsAKeyOnlyAfterItsRoundTrip) {
  keys_->Tick();
  ASSERT_THAT(backend_->find_key, SizeIs(1));
  Found("key-1");
  EXPECT_THAT(Current(), StatusIs(absl::StatusCode::kUnavailable, ::testing::_));
  const auto sent = FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record());
  EXPECT_THAT(Current(), StatusIs(absl::StatusCode::kUnavailable, ::testing::_));
  FakeBackend::Answer<Secret>(backend_->decrypt, Plain(sent.input));
  ASSERT_THAT(Current(), IsOk());
  EXPECT_EQ(*Current(), "key-1");
  EXPECT_THAT(log_, ElementsAre(std::pair(Severity::kNotice,
                                          std::string("ready: key key-1 encrypts and decrypts"))));
}

TEST_F(KeyManagerTest, EachProbeIsAnother) {
  Adopt();
  std::string probes[2];
  for (std::string& probe : probes) {
    Suspect();
    Found("key-1", /*verified=*/false);
    probe = backend_->encrypt.front().input;
    RoundTrip("key-1");
  }
  EXPECT_NE(probes[0], probes[1]);
}

TEST_F(KeyManagerTest, KeyThatDecryptsToSomethingElseIsNotAdopted) {
  keys_->Tick();
  Found("key-1");
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record());
  FakeBackend::Answer<Secret>(backend_->decrypt, Plain(std::string(32, 'x')));
  EXPECT_THAT(Current(),
              StatusIs(absl::StatusCode::kDataLoss,
                       "the KMS decrypted its own ciphertext to something else; nothing is "
                       "encrypted with this key"));
}

TEST_F(KeyManagerTest, FailedTestEncryptionIsTheReason) {
  keys_->Tick();
  Found("key-1");
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, absl::PermissionDeniedError("not yours"));
  EXPECT_THAT(Current(),
              StatusIs(absl::StatusCode::kPermissionDenied, "test encryption: not yours"));
  EXPECT_EQ(backend_->pending(), 0u);
}

TEST_F(KeyManagerTest, TestEncryptionThatTheApiserverWouldRefuseIsTheReason) {
  keys_->Tick();
  Found("key-1");
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, Ciphertext{std::string(1025, 'c'), {}});
  EXPECT_THAT(Current(), StatusIs(absl::StatusCode::kDataLoss,
                                  "test encryption: the KMS returned a ciphertext of 1025 bytes; "
                                  "kube-apiserver takes at most 1024"));
}

TEST_F(KeyManagerTest, FailedTestDecryptionIsTheReason) {
  keys_->Tick();
  Found("key-1");
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record());
  FakeBackend::Answer<Secret>(backend_->decrypt, absl::InvalidArgumentError("bad tag"));
  EXPECT_THAT(Current(), StatusIs(absl::StatusCode::kInvalidArgument, "test decryption: bad tag"));
}

TEST_F(KeyManagerTest, UnfitKeyIdIsTheReason) {
  keys_->Tick();
  Found(std::string(1025, 'k'));
  EXPECT_THAT(Current(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                  "the key id has 1025 bytes; kube-apiserver takes at most 1024"));
  EXPECT_EQ(backend_->pending(), 0u);
}

TEST_F(KeyManagerTest, WholeCheckHasOneDeadline) {
  keys_->Tick();
  const Deadline deadline = backend_->find_key.front().deadline;
  Found("key-1");
  EXPECT_EQ(backend_->encrypt.front().deadline, deadline);
  const auto sent = FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record());
  EXPECT_EQ(backend_->decrypt.front().deadline, deadline);
  FakeBackend::Answer<Secret>(backend_->decrypt, Plain(sent.input));
}

// ---- Status

TEST_F(KeyManagerTest, StatusOfAWorkingKeyAsksNobody) {
  Adopt();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(*Status().at(0), "key-1");
  EXPECT_EQ(backend_->pending(), 0u);
}

TEST_F(KeyManagerTest, StatusStartsACheckThatIsDue) {
  const Deadline deadline = Later();
  auto& status = Status(deadline);
  EXPECT_THAT(status, IsEmpty());
  ASSERT_THAT(backend_->find_key, SizeIs(1));
  EXPECT_EQ(backend_->find_key.front().deadline, deadline);
  Found("key-1");
  RoundTrip("key-1");
  ASSERT_THAT(status, SizeIs(1));
  EXPECT_EQ(*status[0], "key-1");
}

TEST_F(KeyManagerTest, StatusJoinsTheCheckUnderWay) {
  keys_->Tick();
  auto& first = Status();
  auto& second = Status();
  EXPECT_THAT(first, IsEmpty());
  EXPECT_THAT(second, IsEmpty());
  EXPECT_THAT(backend_->find_key, SizeIs(1));
  NotFound();
  ASSERT_THAT(first, SizeIs(1));
  EXPECT_THAT(first[0], StatusIs(absl::StatusCode::kNotFound, "no such key"));
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_THAT(second[0], StatusIs(absl::StatusCode::kNotFound, "no such key"));
}

TEST_F(KeyManagerTest, StatusAnswersAtOnceWhenTheCheckEndsAfterItsDeadline) {
  keys_->Tick();
  ASSERT_THAT(backend_->find_key, SizeIs(1));
  auto& status = Status(backend_->find_key.front().deadline - 1ns);
  ASSERT_THAT(status, SizeIs(1));
  EXPECT_THAT(status[0], StatusIs(absl::StatusCode::kUnavailable, "no key has been verified yet"));
  EXPECT_THAT(backend_->find_key, SizeIs(1));
}

TEST_F(KeyManagerTest, StatusJoinsACheckThatEndsWithItsDeadline) {
  keys_->Tick();
  EXPECT_THAT(Status(backend_->find_key.front().deadline), IsEmpty());
}

TEST_F(KeyManagerTest, StatusBetweenTwoChecksGivesTheReasonWithoutAskingAgain) {
  keys_->Tick();
  NotFound();
  auto& status = Status();
  ASSERT_THAT(status, SizeIs(1));
  EXPECT_THAT(status[0], StatusIs(absl::StatusCode::kNotFound, "no such key"));
  EXPECT_EQ(backend_->pending(), 0u);
}

TEST_F(KeyManagerTest, StatusSaysThatAnAdoptedKeyFails) {
  AdoptThenFail();
  auto& status = Status();
  ASSERT_THAT(status, SizeIs(1));
  EXPECT_THAT(status[0], StatusIs(absl::StatusCode::kNotFound, "no such key"));
}

// ---- Encrypt

TEST_F(KeyManagerTest, EncryptsWithTheAdoptedKey) {
  Adopt();
  const Deadline deadline = Later();
  auto& result = Encrypt("seed", deadline);
  ASSERT_THAT(backend_->encrypt, SizeIs(1));
  const auto call = FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record());
  EXPECT_EQ(call.key_id, "key-1");
  EXPECT_EQ(call.input, "seed");
  EXPECT_EQ(call.deadline, deadline);
  ASSERT_THAT(result, SizeIs(1));
  ASSERT_THAT(result[0], IsOk());
  EXPECT_EQ(result[0]->key_id, "key-1");
  EXPECT_EQ(result[0]->ciphertext.bytes, "ciphertext");
  EXPECT_EQ(result[0]->ciphertext.annotations, Record().annotations);
  EXPECT_EQ(backend_->pending(), 0u);
}

TEST_F(KeyManagerTest, EncryptBeforeAdoptionWaitsForTheCheck) {
  auto& result = Encrypt();
  ASSERT_THAT(backend_->find_key, SizeIs(1));
  Found("key-1");
  RoundTrip("key-1");
  EXPECT_THAT(result, IsEmpty());
  ASSERT_THAT(backend_->encrypt, SizeIs(1));
  EXPECT_EQ(backend_->encrypt.front().input, "seed");
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record());
  ASSERT_THAT(result, SizeIs(1));
  ASSERT_THAT(result[0], IsOk());
  EXPECT_EQ(result[0]->key_id, "key-1");
}

TEST_F(KeyManagerTest, EncryptBeforeAdoptionGivesTheReasonOfTheFailedCheck) {
  auto& result = Encrypt();
  NotFound();
  ASSERT_THAT(result, SizeIs(1));
  EXPECT_THAT(result[0], StatusIs(absl::StatusCode::kNotFound, "no such key"));
  EXPECT_THAT(backend_->encrypt, IsEmpty());
}

TEST_F(KeyManagerTest, EncryptKeepsTheAdoptedKeyWhileItsChecksFail) {
  AdoptThenFail();
  auto& result = Encrypt();
  ASSERT_THAT(backend_->encrypt, SizeIs(1));
  EXPECT_EQ(backend_->encrypt.front().key_id, "key-1");
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record());
  ASSERT_THAT(result, SizeIs(1));
  EXPECT_THAT(result[0], IsOk());
}

TEST_F(KeyManagerTest, EncryptRefusesSizesThatCannotBe) {
  Adopt();
  auto& empty = Encrypt("");
  ASSERT_THAT(empty, SizeIs(1));
  EXPECT_THAT(empty[0], StatusIs(absl::StatusCode::kInvalidArgument, "the plaintext is empty"));
  auto& large = Encrypt(std::string(1009, 'p'));
  ASSERT_THAT(large, SizeIs(1));
  EXPECT_THAT(large[0], StatusIs(absl::StatusCode::kInvalidArgument,
                                 "the plaintext has 1009 bytes; the limit is 1008"));
  EXPECT_EQ(backend_->pending(), 0u);
}

TEST_F(KeyManagerTest, EncryptRefusesWhatTheApiserverWouldRefuseAndHasTheKeyChecked) {
  Adopt();
  auto& result = Encrypt();
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, Ciphertext{std::string(1025, 'c'), {}});
  ASSERT_THAT(result, SizeIs(1));
  EXPECT_THAT(result[0], StatusIs(absl::StatusCode::kDataLoss,
                                  "the KMS returned a ciphertext of 1025 bytes; kube-apiserver "
                                  "takes at most 1024"));
  EXPECT_THAT(backend_->find_key, SizeIs(1));
}

TEST_F(KeyManagerTest, RequestKeepsTheKeyThatItBeganWith) {
  Adopt("key-1");
  auto& result = Encrypt();
  Encrypt();
  auto second = std::move(backend_->encrypt.back());
  backend_->encrypt.pop_back();
  second.done(absl::UnavailableError("closed"));  // a check starts
  auto first = std::move(backend_->encrypt.front());
  backend_->encrypt.pop_front();
  Found("key-2");
  RoundTrip("key-2");
  ASSERT_EQ(*Current(), "key-2");
  first.done(Record());
  ASSERT_THAT(result, SizeIs(1));
  ASSERT_THAT(result[0], IsOk());
  EXPECT_EQ(result[0]->key_id, "key-1");
}

// ---- Decrypt

class DecryptTest : public KeyManagerTest {
 protected:
  void Decrypt(const std::string& key_id, Ciphertext record) {
    keys_->Decrypt(key_id, std::move(record), Later(), Into(results_));
  }
  Results<Secret> results_;
};

TEST_F(DecryptTest, UsesTheKeyOfTheRecordWhateverTheCurrentOne) {
  Decrypt("an older key", Record());  // and before any key was adopted
  ASSERT_THAT(backend_->decrypt, SizeIs(1));
  const auto call = FakeBackend::Answer<Secret>(backend_->decrypt, Plain("seed"));
  EXPECT_EQ(call.key_id, "an older key");
  EXPECT_EQ(call.input, "ciphertext");
  ASSERT_THAT(results_, SizeIs(1));
  ASSERT_THAT(results_[0], IsOk());
  EXPECT_EQ(AsText(results_[0]->Reveal()), "seed");
  EXPECT_EQ(backend_->pending(), 0u);
}

TEST_F(DecryptTest, RefusesSizesThatCannotBe) {
  Decrypt("", Record());
  ASSERT_THAT(results_, SizeIs(1));
  EXPECT_THAT(results_[0], StatusIs(absl::StatusCode::kInvalidArgument, "the key id is empty"));
  Decrypt("k", {"", {}});
  ASSERT_THAT(results_, SizeIs(2));
  EXPECT_THAT(results_[1], StatusIs(absl::StatusCode::kInvalidArgument, "the ciphertext is empty"));
  EXPECT_EQ(backend_->pending(), 0u);
}

TEST_F(DecryptTest, SilenceOfTheKmsHasTheKeyChecked) {
  Adopt();
  for (const absl::Status& status :
       {absl::UnavailableError("closed"), absl::DeadlineExceededError("late")}) {
    Decrypt("key-1", Record());
    FakeBackend::Answer<Secret>(backend_->decrypt, status);
    EXPECT_EQ(results_.back().status(), status);
    ASSERT_THAT(backend_->find_key, SizeIs(1));
    Found("key-1");
    RoundTrip("key-1");
  }
}

TEST_F(DecryptTest, RefusalOfTheCurrentKeyHasItProvenAgain) {
  Adopt();
  Decrypt("key-1", Record());
  FakeBackend::Answer<Secret>(backend_->decrypt, absl::PermissionDeniedError("no longer yours"));
  ASSERT_THAT(backend_->find_key, SizeIs(1));
  Found("key-1");
  EXPECT_THAT(backend_->encrypt, SizeIs(1));
}

TEST_F(DecryptTest, RefusalConcernsTheRecordAlone) {
  Adopt();
  for (const absl::Status& status :
       {absl::InvalidArgumentError("bad tag"), absl::NotFoundError("gone"),
        absl::PermissionDeniedError("not yours"), absl::FailedPreconditionError("state")}) {
    Decrypt("an older key", Record());
    FakeBackend::Answer<Secret>(backend_->decrypt, status);
    EXPECT_EQ(results_.back().status(), status);
  }
  EXPECT_EQ(backend_->pending(), 0u);
  EXPECT_THAT(Current(), IsOk());
}

// ---- Checks that follow

TEST_F(KeyManagerTest, FailedEncryptHasTheKeyCheckedUnlessTheRequestWasAtFault) {
  Adopt();
  for (const absl::Status& harmless :
       {absl::InvalidArgumentError("bad"), absl::ResourceExhaustedError("busy")}) {
    auto& result = Encrypt();
    FakeBackend::Answer<Ciphertext>(backend_->encrypt, harmless);
    ASSERT_THAT(result, SizeIs(1));
    EXPECT_EQ(result[0].status(), harmless);
    EXPECT_THAT(backend_->find_key, IsEmpty());
  }
  auto& result = Encrypt();
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, absl::PermissionDeniedError("not Active"));
  ASSERT_THAT(result, SizeIs(1));
  EXPECT_THAT(result[0], StatusIs(absl::StatusCode::kPermissionDenied, "not Active"));
  EXPECT_THAT(backend_->find_key, SizeIs(1));
}

TEST_F(KeyManagerTest, OnlyOneCheckRunsAtATime) {
  Adopt();
  for (int i = 0; i < 3; ++i) {
    Encrypt();
    FakeBackend::Answer<Ciphertext>(backend_->encrypt, absl::UnavailableError("closed"));
  }
  EXPECT_THAT(backend_->find_key, SizeIs(1));
}

TEST_F(KeyManagerTest, SuspectKeyIsProvenAgainWhateverItsAttributesSay) {
  Adopt();
  Suspect();
  Found("key-1", /*verified=*/true);
  EXPECT_THAT(backend_->encrypt, SizeIs(1));
  RoundTrip("key-1");
  EXPECT_EQ(backend_->pending(), 0u);
  EXPECT_EQ(*Current(), "key-1");
}

TEST_F(KeyManagerTest, ProvenKeyWithoutItsAttributesIsProvenAgain) {
  Adopt();
  Suspect();
  Found("key-1", /*verified=*/false);
  EXPECT_THAT(backend_->encrypt, SizeIs(1));
  RoundTrip("key-1");
  EXPECT_EQ(*Current(), "key-1");
}

TEST_F(KeyManagerTest, NewIdIsProvenBeforeItReplacesTheOldOne) {
  Adopt("key-1");
  Suspect();
  Found("key-2", /*verified=*/true);
  EXPECT_EQ(*Current(), "key-1");
  RoundTrip("key-2");
  EXPECT_EQ(*Current(), "key-2");
  EXPECT_THAT(log_,
              ElementsAre(std::pair(
                  Severity::kNotice,
                  std::string("ready: key key-2 encrypts and decrypts; it replaces key key-1"))));
}

TEST_F(KeyManagerTest, NewIdThatDoesNotWorkReplacesNothing) {
  Adopt("key-1");
  Suspect();
  Found("key-2");
  FakeBackend::Answer<Ciphertext>(backend_->encrypt, absl::PermissionDeniedError("not Active"));
  EXPECT_THAT(Current(),
              StatusIs(absl::StatusCode::kPermissionDenied, "test encryption: not Active"));
  auto& result = Encrypt();
  EXPECT_EQ(FakeBackend::Answer<Ciphertext>(backend_->encrypt, Record()).key_id, "key-1");
  ASSERT_THAT(result, SizeIs(1));
  EXPECT_EQ(result[0]->key_id, "key-1");
}

TEST_F(KeyManagerTest, HealthIsKeptWhileACheckRuns) {
  Adopt();
  Suspect();
  EXPECT_EQ(*Current(), "key-1");
  EXPECT_EQ(*Status().at(0), "key-1");
}

// ---- How long it fails

TEST_F(KeyManagerTest, NothingFailsBeforeTheFirstCheckHasEnded) {
  EXPECT_FALSE(keys_->Current().failing_since.has_value());
  keys_->Tick();
  EXPECT_FALSE(keys_->Current().failing_since.has_value());
  EXPECT_EQ(keys_->Current().key_id, "");
}

TEST_F(KeyManagerTest, FailingBeginsWithTheFirstFailureAndEndsWithTheFirstSuccess) {
  Adopt();
  EXPECT_FALSE(keys_->Current().failing_since.has_value());
  Suspect();
  const auto before = Clock::now();
  NotFound();
  const auto after = Clock::now();
  const Health health = keys_->Current();
  EXPECT_EQ(health.key_id, "key-1");
  ASSERT_TRUE(health.failing_since.has_value());
  EXPECT_GE(*health.failing_since, before);
  EXPECT_LE(*health.failing_since, after);
}

// ---- The check under way

TEST_F(KeyManagerTest, CheckDeadlineIsThatOfTheCheckUnderWay) {
  EXPECT_EQ(keys_->CheckDeadline(), Deadline::max());
  keys_->Tick();
  EXPECT_EQ(keys_->CheckDeadline(), backend_->find_key.front().deadline);
  Found("key-1");
  EXPECT_EQ(keys_->CheckDeadline(), backend_->encrypt.front().deadline) << "of the whole chain";
  RoundTrip("key-1");
  EXPECT_EQ(keys_->CheckDeadline(), Deadline::max());
}

// ---- The log

using Lines = std::vector<std::pair<Severity, std::string>>;

TEST_F(KeyManagerTest, FailureIsLoggedOncePerChange) {
  Adopt();
  Suspect();
  NotFound("gone");
  EXPECT_EQ(log_, (Lines{{Severity::kError, "not ready: NOT_FOUND: gone"}}));
}

// Drives checks by the clock's own pace: each one is due half a second after the first failure, so
// the manager is asked until it is.
class RepeatedCheckTest : public KeyManagerTest {
 protected:
  void NextCheck() {
    while (backend_->find_key.empty()) keys_->Tick();
  }
};

TEST_F(RepeatedCheckTest, SameFailureIsLoggedOnceAndRecoveryOnce) {
  keys_->Tick();
  NotFound("gone");
  NextCheck();
  NotFound("gone");
  EXPECT_EQ(log_, (Lines{{Severity::kError, "not ready: NOT_FOUND: gone"}}));
  NextCheck();
  NotFound("gone for good");
  EXPECT_EQ(log_, (Lines{{Severity::kError, "not ready: NOT_FOUND: gone"},
                         {Severity::kError, "not ready: NOT_FOUND: gone for good"}}));
}

TEST_F(RepeatedCheckTest, FailingGoesOnUntilTheReasonIsOfAnotherKind) {
  keys_->Tick();
  FakeBackend::Answer<KeyInfo>(backend_->find_key, absl::UnavailableError("refused"));
  const auto first = keys_->Current().failing_since;
  ASSERT_TRUE(first.has_value());
  NextCheck();
  FakeBackend::Answer<KeyInfo>(backend_->find_key, absl::DeadlineExceededError("late"));
  EXPECT_EQ(keys_->Current().failing_since, first) << "still no answer";
  NextCheck();
  NotFound();
  EXPECT_GT(keys_->Current().failing_since, first) << "an answer, if a bad one";
  NextCheck();
  Found("key-1");
  RoundTrip("key-1");
  EXPECT_FALSE(keys_->Current().failing_since.has_value());
}

TEST_F(RepeatedCheckTest, CheckThatTheEndOfThePluginCutsShortIsNotLogged) {
  keys_->Tick();
  FakeBackend::Answer<KeyInfo>(backend_->find_key, absl::CancelledError("the plugin is stopping"));
  EXPECT_EQ(log_, (Lines{}));
}

TEST_F(RepeatedCheckTest, KeyThatFailedIsProvenAgainBeforeItCountsAsReady) {
  AdoptThenFail();
  NextCheck();
  Found("key-1", /*verified=*/true);
  EXPECT_THAT(Current(), StatusIs(absl::StatusCode::kNotFound, ::testing::_));
  RoundTrip("key-1");
  EXPECT_EQ(*Current(), "key-1");
  EXPECT_EQ(log_, (Lines{{Severity::kNotice, "ready again: key key-1"}}));
}

TEST_F(RepeatedCheckTest, CheckAfterALateOneMayTakeAllTheTimeThereIs) {
  keys_->Tick();
  FakeBackend::Answer<KeyInfo>(backend_->find_key, absl::DeadlineExceededError("late"));
  NextCheck();
  const Deadline after = Clock::now();
  EXPECT_GT(backend_->find_key.front().deadline, after + kTimeout - 2s);
}

// ---- Tick

TEST_F(KeyManagerTest, FirstCheckLeavesTheApiserverTimeToHearOfIt) {
  const auto before = Clock::now();
  keys_->Tick();
  const auto after = Clock::now();
  const Deadline deadline = backend_->find_key.front().deadline;
  EXPECT_GE(deadline, before + 2s);
  EXPECT_LE(deadline, after + 2s);
}

TEST_F(KeyManagerTest, TickStartsNothingTwice) {
  keys_->Tick();
  keys_->Tick();
  EXPECT_THAT(backend_->find_key, SizeIs(1));
}

TEST_F(KeyManagerTest, TickLooksAgainSoonWhileACheckRuns) {
  const auto before = Clock::now();
  const Deadline next = keys_->Tick();
  const auto after = Clock::now();
  EXPECT_GE(next, before + 500ms);
  EXPECT_LE(next, after + 500ms);
}

TEST_F(KeyManagerTest, TickComesBackInTenSecondsWhenAllIsWell) {
  const auto before = Clock::now();
  Adopt();
  const auto after = Clock::now();
  const Deadline next = keys_->Tick();
  EXPECT_GE(next, before + 10s);
  EXPECT_LE(next, after + 10s);
  EXPECT_EQ(backend_->pending(), 0u);
}

TEST_F(KeyManagerTest, TickComesBackSoonerAfterAFailureAndNotInStep) {
  keys_->Tick();
  const auto before = Clock::now();
  NotFound();
  const auto after = Clock::now();
  const Deadline next = keys_->Tick();
  EXPECT_GE(next, before + 375ms);  // up to a quarter less than half a second
  EXPECT_LE(next, after + 500ms);
}

// ---- The end

TEST_F(KeyManagerTest, MayGoWhileACheckRuns) {
  keys_->Tick();
  keys_.reset();
}

}  // namespace
}  // namespace okms
