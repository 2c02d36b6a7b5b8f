// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/shared_decrypts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/annotated_backend.h"
#include "support/status_is.h"
#include "unit/core/fake_backend.h"
#include "unit/core/threaded_backend.h"

namespace okms {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::FakeBackend;
using test::IsOk;
using test::Plain;
using test::StatusIs;
using testing::ElementsAre;
using Code = absl::StatusCode;

class SharedDecryptsTest : public testing::Test {
 protected:
  // What a call came to; `at` by the clock of the test.
  struct Outcome {
    int times = 0;
    std::string plaintext;
    absl::Status status;
    Deadline at;
  };

  SharedDecryptsTest() {
    auto fake = std::make_unique<FakeBackend>();
    fake_ = fake.get();
    shared_.emplace(std::move(fake), [this] { return now_; });
  }

  Outcome& Decrypt(Deadline deadline, Ciphertext ciphertext = {"bytes", {}},
                   const std::string& key_id = "key", Way way = Way::kDecrypts) {
    Outcome& outcome = outcomes_.emplace_back();
    shared_->Decrypt(way, key_id, std::move(ciphertext), deadline,
                     [this, &outcome](absl::StatusOr<Secret> result) {
                       ++outcome.times;
                       outcome.at = now_;
                       outcome.status = result.status();
                       if (result.ok()) outcome.plaintext = std::string(AsText(result->Reveal()));
                     });
    return outcome;
  }
  auto Answer(absl::StatusOr<Secret> result) {
    return FakeBackend::Answer<Secret>(fake_->decrypt, std::move(result));
  }
  // The backend gives up a question: the next one, at its deadline.
  void RunOutOfTime() {
    std::stable_sort(fake_->decrypt.begin(), fake_->decrypt.end(),
                     [](const auto& a, const auto& b) { return a.deadline < b.deadline; });
    now_ = fake_->decrypt.front().deadline;
    Answer(absl::DeadlineExceededError("silence"));
  }
  // So goes the time: each question is given up at its deadline. Returns how many.
  std::size_t StaySilentUntil(Deadline until) {
    const auto due = [until](const auto& call) { return call.deadline <= until; };
    std::size_t count = 0;
    for (; std::any_of(fake_->decrypt.begin(), fake_->decrypt.end(), due); ++count) RunOutOfTime();
    now_ = until;
    return count;
  }
  std::vector<Deadline> AskedUntil() const {
    std::vector<Deadline> deadlines;
    for (const auto& call : fake_->decrypt) deadlines.push_back(call.deadline);
    return deadlines;
  }

  const Deadline start_ = Clock::now();
  Deadline now_ = start_;
  FakeBackend* fake_ = nullptr;
  std::deque<Outcome> outcomes_;
  std::optional<SharedDecrypts> shared_;
};

TEST_F(SharedDecryptsTest, TheSameIsAskedOnceAndAnsweredToAll) {
  for (int i = 0; i < 64; ++i) Decrypt(now_ + seconds(3));
  ASSERT_EQ(fake_->decrypt.size(), 1);
  EXPECT_EQ(shared_->joined(), 63);
  const auto asked = Answer(Plain("seed"));
  EXPECT_EQ(asked.name, "key");
  EXPECT_EQ(asked.input, "bytes");
  EXPECT_EQ(asked.deadline, now_ + seconds(3));
  for (const Outcome& outcome : outcomes_) {
    EXPECT_EQ(outcome.times, 1);
    EXPECT_EQ(outcome.plaintext, "seed");
  }
}

TEST_F(SharedDecryptsTest, AnAnswerIsNotKept) {
  Decrypt(now_ + seconds(3));
  Answer(Plain("seed"));
  const Outcome& later = Decrypt(now_ + seconds(3));
  ASSERT_EQ(fake_->decrypt.size(), 1);
  EXPECT_EQ(later.times, 0);
  Answer(absl::FailedPreconditionError("deactivated"));
  EXPECT_THAT(later.status, StatusIs(Code::kFailedPrecondition, "deactivated"));
}

TEST_F(SharedDecryptsTest, WhatDiffersIsAskedByItself) {
  const Deadline deadline = now_ + seconds(3);
  Decrypt(deadline, {"bytes", {{"a", "1"}}});
  Decrypt(deadline, {"bytes", {{"a", "2"}}});
  Decrypt(deadline, {"bytes", {{"b", "1"}}});
  Decrypt(deadline, {"bytes", {}});
  Decrypt(deadline, {"other", {{"a", "1"}}});
  Decrypt(deadline, {"bytes", {{"a", "1"}}}, "another key");
  EXPECT_EQ(fake_->decrypt.size(), 6);
  for (int i = 0; i < 6; ++i) Answer(Plain(absl::StrCat(i)));
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(outcomes_[i].plaintext, absl::StrCat(i));
}

// A check must see for itself.
TEST_F(SharedDecryptsTest, OtherWaysAndCallsPass) {
  const Deadline deadline = now_ + seconds(3);
  for (const Way way : {Way::kDecrypts, Way::kChecks, Way::kChecks, Way::kEncrypts}) {
    Decrypt(deadline, {"bytes", {}}, "key", way);
  }
  EXPECT_EQ(fake_->decrypt.size(), 4);
  EXPECT_EQ(fake_->decrypt[1].way, Way::kChecks);
  EXPECT_EQ(fake_->decrypt[3].way, Way::kEncrypts);
  for (int i = 0; i < 2; ++i) {
    shared_->Locate(
        "label", [&] { return deadline; }, [](auto) {});
    shared_->Inspect("key", deadline, [](auto) {});
    shared_->Encrypt(Way::kEncrypts, "key", Plain("seed"), deadline, [](auto) {});
  }
  EXPECT_EQ(fake_->locate.size(), 2);
  EXPECT_EQ(fake_->inspect.size(), 2);
  EXPECT_EQ(fake_->encrypt.size(), 2);
}

TEST_F(SharedDecryptsTest, AnErrorIsEverybodys) {
  for (const Code code : {Code::kUnavailable, Code::kUnauthenticated, Code::kPermissionDenied,
                          Code::kDataLoss, Code::kResourceExhausted, Code::kNotFound,
                          Code::kFailedPrecondition, Code::kInvalidArgument}) {
    outcomes_.clear();
    for (int i = 0; i < 3; ++i) Decrypt(now_ + seconds(3 + i));
    Answer(absl::Status(code, "no"));
    for (const Outcome& outcome : outcomes_) EXPECT_THAT(outcome.status, StatusIs(code, "no"));
    EXPECT_TRUE(fake_->decrypt.empty());
  }
}

TEST_F(SharedDecryptsTest, WhoHasLessTimeAsksByItself) {
  const Outcome& patient = Decrypt(now_ + seconds(3));
  const Outcome& hasty = Decrypt(now_ + seconds(1));
  EXPECT_THAT(AskedUntil(), ElementsAre(now_ + seconds(3), now_ + seconds(1)));
  // Each finds the question that fits, whichever came last.
  Decrypt(now_ + seconds(2));
  Decrypt(now_ + seconds(4));
  Decrypt(now_ + seconds(1));
  EXPECT_EQ(fake_->decrypt.size(), 2);
  RunOutOfTime();
  EXPECT_THAT(hasty.status, StatusIs(Code::kDeadlineExceeded, "silence"));
  EXPECT_EQ(patient.times, 0);
  EXPECT_EQ(outcomes_[2].times, 0);
  EXPECT_EQ(outcomes_[3].times, 0);
  EXPECT_EQ(outcomes_[4].times, 1);
}

TEST_F(SharedDecryptsTest, NobodyJoinsAQuestionThatIsAboutToBeGivenUp) {
  Decrypt(now_ + seconds(3));
  now_ += milliseconds(1'400);  // 1600 of 3000 are left
  Decrypt(now_ + seconds(3));
  EXPECT_EQ(fake_->decrypt.size(), 1);
  now_ += milliseconds(200);
  Decrypt(now_ + seconds(3));
  EXPECT_EQ(fake_->decrypt.size(), 2);
  now_ += seconds(2);  // the first one is late
  Decrypt(now_ + milliseconds(1));
  EXPECT_EQ(fake_->decrypt.size(), 3);
}

TEST_F(SharedDecryptsTest, WhoHasTimeLeftAsksAnewTogether) {
  const Outcome& first = Decrypt(now_ + milliseconds(1'000));
  const Outcome& too_late = Decrypt(now_ + milliseconds(1'005));
  Decrypt(now_ + milliseconds(1'700));  // in any order
  Decrypt(now_ + milliseconds(1'500));
  Decrypt(now_ + milliseconds(2'000));
  EXPECT_EQ(fake_->decrypt.size(), 1);
  RunOutOfTime();
  for (const Outcome* outcome : {&first, &too_late}) {
    EXPECT_EQ(outcome->times, 1);
    EXPECT_THAT(outcome->status, StatusIs(Code::kDeadlineExceeded, "silence"));
  }
  EXPECT_THAT(AskedUntil(), ElementsAre(start_ + milliseconds(1'500)));
  EXPECT_EQ(fake_->decrypt.front().input, "bytes");
  Answer(Plain("seed"));
  for (std::size_t i = 2; i < 5; ++i) {
    EXPECT_EQ(outcomes_[i].times, 1);
    EXPECT_EQ(outcomes_[i].plaintext, "seed");
  }
}

// Whatever deadlines there are: nobody waits longer than its own, nobody fails before, and a KMS
// that is silent is asked no more often than it would be by each for itself.
TEST_F(SharedDecryptsTest, DeadlinesAreKeptWhoeverSharesWithWhom) {
  std::minstd_rand random(20);
  for (int round = 0; round < 50; ++round) {
    outcomes_.clear();
    std::vector<Deadline> deadlines;
    std::size_t asked = 0;
    for (int i = 0; i < 60; ++i) {
      asked += StaySilentUntil(now_ + milliseconds(random() % 20));
      deadlines.push_back(now_ + milliseconds(random() % 3'000));
      Decrypt(deadlines.back());
    }
    asked += StaySilentUntil(now_ + seconds(3));
    EXPECT_LE(asked, deadlines.size());
    for (std::size_t i = 0; i < deadlines.size(); ++i) {
      EXPECT_EQ(outcomes_[i].times, 1);
      EXPECT_THAT(outcomes_[i].status, StatusIs(Code::kDeadlineExceeded, "silence"));
      EXPECT_GT(outcomes_[i].at, deadlines[i] - SharedDecrypts::kTooShort);
      EXPECT_LE(outcomes_[i].at, deadlines[i]);
    }
  }
}

TEST_F(SharedDecryptsTest, WhatWaitsForOneAnswerIsBounded) {
  for (std::size_t i = 0; i <= SharedDecrypts::kMostCalls; ++i) Decrypt(now_ + seconds(3));
  EXPECT_EQ(fake_->decrypt.size(), 2);
  Answer(Plain("seed"));
  EXPECT_EQ(outcomes_.front().times, 1);
  EXPECT_EQ(outcomes_.back().times, 0);
}

// As the queue does that is full, and the KMS that cannot be asked: within the call.
TEST_F(SharedDecryptsTest, ABackendMayAnswerAtOnce) {
  for (const Code code : {Code::kUnauthenticated, Code::kDeadlineExceeded}) {
    shared_.emplace(std::make_unique<NoBackend>(absl::Status(code, "no")), [this] { return now_; });
    for (int i = 0; i < 3; ++i) {
      const Outcome& outcome = Decrypt(now_ + seconds(3));
      EXPECT_EQ(outcome.times, 1);
      EXPECT_THAT(outcome.status, StatusIs(code, "no"));
    }
  }
}

// Who is answered may ask again at once.
TEST_F(SharedDecryptsTest, AnAnswerMayAsk) {
  int answers = 0;
  shared_->Decrypt(Way::kDecrypts, "key", {"bytes", {}}, now_ + seconds(3), [&](auto) {
    ++answers;
    Decrypt(now_ + seconds(3));
  });
  Answer(Plain("seed"));
  EXPECT_EQ(answers, 1);
  EXPECT_EQ(fake_->decrypt.size(), 1);
}

// Cancels what is under way when it is destroyed, as every backend does.
class EndingBackend : public FakeBackend {
 public:
  ~EndingBackend() override {
    while (!decrypt.empty()) Answer<Secret>(decrypt, absl::CancelledError("the end"));
  }
};

TEST_F(SharedDecryptsTest, TheEndAnswersAll) {
  shared_.emplace(std::make_unique<EndingBackend>(), [this] { return now_; });
  for (int i = 0; i < 3; ++i) Decrypt(now_ + seconds(3 + i));
  Decrypt(now_ + seconds(1));
  shared_.reset();
  for (const Outcome& outcome : outcomes_) {
    EXPECT_EQ(outcome.times, 1);
    EXPECT_THAT(outcome.status, StatusIs(Code::kCancelled, "the end"));
  }
}

// With the bytes that it was asked about, or with silence.
std::unique_ptr<Backend> MakeOftenSilent() {
  return std::make_unique<test::ThreadedBackend>(
      [asked = 0](const std::string& bytes) mutable -> absl::StatusOr<std::string> {
        if (asked++ % 3 == 0) return absl::DeadlineExceededError("silence");
        return bytes;
      });
}

TEST(SharedDecryptsThreadsTest, EveryCallHasItsOwnAnswer) {
  constexpr int kThreads = 8;
  constexpr int kCalls = 200;
  std::atomic<int> right = 0;
  std::atomic<int> silent = 0;
  {
    SharedDecrypts shared(MakeOftenSilent());
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int call = 0; call < kCalls; ++call) {
          const std::string bytes = absl::StrCat("bytes ", call / 10);
          shared.Decrypt(Way::kDecrypts, "key", {bytes, {}}, Clock::now() + seconds(60),
                         [&, bytes](absl::StatusOr<Secret> result) {
                           if (!result.ok()) {
                             ++silent;
                           } else if (AsText(result->Reveal()) == bytes) {
                             ++right;
                           }
                         });
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(right + silent, kThreads * kCalls);
  EXPECT_GT(right, 0);
}

}  // namespace
}  // namespace okms
