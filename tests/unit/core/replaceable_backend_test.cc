// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/replaceable_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "support/status_is.h"
#include "unit/core/fake_backend.h"

namespace okms {
namespace {

using test::ActiveKey;
using test::FakeBackend;
using test::IsOk;
using test::Plain;
using test::StatusIs;
using Code = absl::StatusCode;

// As a real one: who is still waiting is told that it is cancelled.
class Mortal : public FakeBackend {
 public:
  explicit Mortal(bool& alive) : alive_(alive) { alive_ = true; }
  ~Mortal() override {
    while (!decrypt.empty()) Answer(decrypt, absl::StatusOr<Secret>(absl::CancelledError("end")));
    alive_ = false;
  }

 private:
  bool& alive_;
};

class ReplaceableBackendTest : public testing::Test {
 protected:
  ReplaceableBackendTest() { all_.emplace(Make(old_, old_alive_)); }

  static std::unique_ptr<Backend> Make(Mortal*& place, bool& alive) {
    auto made = std::make_unique<Mortal>(alive);
    place = made.get();
    return made;
  }
  void Replace() { all_->Replace(Make(new_, new_alive_)); }
  void Decrypt(Done<Secret> done, Deadline deadline = Deadline::max()) {
    all_->Decrypt(Way::kDecrypts, "key", {"bytes", {}}, deadline, std::move(done));
  }
  Done<Secret> IntoResult() {
    return [this](absl::StatusOr<Secret> result) { result_ = std::move(result); };
  }

  Mortal* old_ = nullptr;
  Mortal* new_ = nullptr;
  bool old_alive_ = false;
  bool new_alive_ = false;
  std::optional<absl::StatusOr<Secret>> result_;
  std::optional<ReplaceableBackend> all_;
};

TEST_F(ReplaceableBackendTest, PassesAllCallsToTheCurrentOne) {
  const auto ask = [this] {
    all_->Locate(
        "label", [] { return Deadline::max(); }, [](const auto&) {});
    all_->Inspect("key", Deadline::max(), [](const auto&) {});
    all_->Encrypt(Way::kEncrypts, "key", Plain("seed"), Deadline::max(), [](const auto&) {});
    Decrypt([](const auto&) {});
  };
  ask();
  EXPECT_EQ(old_->pending(), 4U);
  EXPECT_EQ(old_->locate.front().name, "label");
  EXPECT_EQ(old_->inspect.front().name, "key");
  EXPECT_EQ(old_->encrypt.front().input, "seed");
  EXPECT_EQ(old_->encrypt.front().way, Way::kEncrypts);
  EXPECT_EQ(old_->decrypt.front().input, "bytes");
  Replace();
  ask();
  EXPECT_EQ(old_->pending(), 4U);
  EXPECT_EQ(new_->pending(), 4U);
}

TEST_F(ReplaceableBackendTest, ACallUnderWayEndsWhereItBegan) {
  Decrypt(IntoResult());
  Replace();
  EXPECT_TRUE(all_->Sweep());
  ASSERT_TRUE(old_alive_) << "a call is under way";
  old_->Answer(old_->decrypt, absl::StatusOr<Secret>(Plain("seed")));
  ASSERT_TRUE(result_);
  EXPECT_THAT(*result_, IsOk());
  EXPECT_TRUE(old_alive_) << "destroyed by who ended its call";
  EXPECT_FALSE(all_->Sweep());
  EXPECT_FALSE(old_alive_);
  all_->Sweep();
  EXPECT_TRUE(new_alive_) << "it is in use";
}

TEST_F(ReplaceableBackendTest, WhatFailsOnAnOldWayIsTriedOnTheNewOne) {
  for (const Code code : {Code::kUnavailable, Code::kUnauthenticated}) {
    SCOPED_TRACE(code);
    result_.reset();
    all_.emplace(Make(old_, old_alive_));
    Decrypt(IntoResult());
    Replace();
    old_->Answer(old_->decrypt, absl::StatusOr<Secret>(absl::Status(code, "refused")));
    EXPECT_FALSE(result_);
    ASSERT_EQ(new_->pending(), 1U);
    EXPECT_EQ(new_->decrypt.front().name, "key");
    EXPECT_EQ(new_->decrypt.front().input, "bytes");
    all_->Sweep();
    EXPECT_FALSE(old_alive_);
    new_->Answer(new_->decrypt, absl::StatusOr<Secret>(absl::Status(code, "there, too")));
    ASSERT_TRUE(result_);
    EXPECT_THAT(*result_, StatusIs(code, "there, too"));
  }
}

TEST_F(ReplaceableBackendTest, ASecretIsTriedAgainAsItIs) {
  bool good = false;
  all_->Encrypt(Way::kEncrypts, "key", Plain("seed"), Deadline::max(),
                [&](const absl::StatusOr<Ciphertext>& result) { good = result.ok(); });
  Replace();
  old_->Answer(old_->encrypt, absl::StatusOr<Ciphertext>(absl::UnavailableError("gone")));
  ASSERT_EQ(new_->pending(), 1U);
  EXPECT_EQ(new_->encrypt.front().input, "seed");
  EXPECT_EQ(new_->encrypt.front().way, Way::kEncrypts);
  new_->Answer(new_->encrypt, absl::StatusOr<Ciphertext>(Ciphertext()));
  EXPECT_TRUE(good);
}

TEST_F(ReplaceableBackendTest, NothingIsTriedTwiceOnOneWayOrTooLateOrAfterAWordAboutTheKey) {
  Decrypt(IntoResult());
  old_->Answer(old_->decrypt, absl::StatusOr<Secret>(absl::UnavailableError("away")));
  ASSERT_TRUE(result_);
  EXPECT_THAT(*result_, StatusIs(Code::kUnavailable, "away"));

  Decrypt(IntoResult(), Clock::now());
  Decrypt(IntoResult());
  Replace();
  old_->Answer(old_->decrypt, absl::StatusOr<Secret>(absl::UnavailableError("late")));
  EXPECT_THAT(*result_, StatusIs(Code::kUnavailable, "late"));
  old_->Answer(old_->decrypt, absl::StatusOr<Secret>(absl::NotFoundError("no key")));
  EXPECT_THAT(*result_, StatusIs(Code::kNotFound, "no key"));
  EXPECT_EQ(new_->pending(), 0U);
}

TEST_F(ReplaceableBackendTest, EveryKindOfCallKeepsIt) {
  const auto kept = [this](auto ask, auto answer) {
    ReplaceableBackend all(Make(old_, old_alive_));
    ask(all);
    all.Replace(Make(new_, new_alive_));
    all.Sweep();
    const bool before = old_alive_;
    if (before) answer(*old_);
    all.Sweep();
    return before && !old_alive_;
  };
  EXPECT_TRUE(kept(
      [](Backend& all) {
        all.Locate(
            "label", [] { return Deadline::max(); }, [](const auto&) {});
      },
      [](FakeBackend& inner) { inner.Answer(inner.locate, absl::StatusOr<Located>(Located())); }));
  EXPECT_TRUE(kept([](Backend& all) { all.Inspect("key", Deadline::max(), [](const auto&) {}); },
                   [](FakeBackend& inner) {
                     inner.Answer(inner.inspect, absl::StatusOr<KeyInfo>(ActiveKey()));
                   }));
  EXPECT_TRUE(kept(
      [](Backend& all) {
        all.Encrypt(Way::kEncrypts, "key", Plain("seed"), Deadline::max(), [](const auto&) {});
      },
      [](FakeBackend& inner) {
        inner.Answer(inner.encrypt, absl::StatusOr<Ciphertext>(Ciphertext()));
      }));
}

TEST_F(ReplaceableBackendTest, SeveralAreReplacedWhileTheFirstIsInUse) {
  Decrypt(IntoResult());
  bool alive[3] = {};
  Mortal* inner = nullptr;
  for (bool& each : alive) all_->Replace(Make(inner, each));
  all_->Sweep();
  EXPECT_TRUE(old_alive_);
  EXPECT_FALSE(alive[0]);
  EXPECT_FALSE(alive[1]);
  EXPECT_TRUE(alive[2]);
}

// RoundTrip, for one, goes on when the first of its calls is answered, and may be replaced there.
TEST_F(ReplaceableBackendTest, AnAnswerMayReplaceAndAsk) {
  Decrypt([this](const auto&) {
    Replace();
    Decrypt(IntoResult());
  });
  old_->Answer(old_->decrypt, absl::StatusOr<Secret>(Plain("seed")));
  EXPECT_TRUE(old_alive_);
  ASSERT_EQ(new_->pending(), 1U);
  all_->Sweep();
  EXPECT_FALSE(old_alive_);
  new_->Answer(new_->decrypt, absl::StatusOr<Secret>(Plain("seed")));
  EXPECT_THAT(*result_, IsOk());
}

TEST_F(ReplaceableBackendTest, ItsEndCancelsWhatIsUnderWayOnAll) {
  absl::Status first;
  Decrypt([&, &all = *all_](const absl::StatusOr<Secret>& result) {
    first = result.status();  // who is told asks again
    all.Decrypt(Way::kDecrypts, "key", {"bytes", {}}, Deadline::max(), IntoResult());
  });
  Replace();
  all_.reset();
  EXPECT_THAT(first, StatusIs(Code::kCancelled, "end"));
  ASSERT_TRUE(result_);
  EXPECT_THAT(*result_, StatusIs(Code::kCancelled, "end"));
  EXPECT_FALSE(old_alive_);
  EXPECT_FALSE(new_alive_);
}

// Answers before the call returns, or on a thread of its own.
class Quick : public FakeBackend {
 public:
  ~Quick() override {
    for (std::thread& thread : threads_) thread.join();
    EXPECT_EQ(inside_, 0);
  }
  void Decrypt(Way, const std::string& key_id, Ciphertext, Deadline, Done<Secret> done) override {
    ++inside_;
    if (key_id == "at once") {
      done(Plain("seed"));
    } else {
      const std::lock_guard lock(mutex_);
      threads_.emplace_back([done = std::move(done)]() mutable { done(Plain("seed")); });
    }
    --inside_;
  }

 private:
  std::atomic<int> inside_ = 0;
  std::mutex mutex_;
  std::vector<std::thread> threads_;
};

TEST(ReplaceableBackendThreadsTest, NoCallIsLostWhileItIsReplacedAllTheTime) {
  constexpr int kCalls = 500;
  std::atomic<int> good = 0;
  {
    ReplaceableBackend all(std::make_unique<Quick>());
    std::atomic<bool> stop = false;
    std::thread replacer([&] {
      while (!stop) {
        all.Replace(std::make_unique<Quick>());
        all.Sweep();
      }
    });
    std::vector<std::thread> callers;
    for (const std::string key : {"at once", "later"}) {
      callers.emplace_back([&all, &good, key] {
        for (int i = 0; i < kCalls; ++i) {
          all.Decrypt(Way::kDecrypts, key, {"bytes", {}}, Deadline::max(),
                      [&](const absl::StatusOr<Secret>& result) { good += result.ok() ? 1 : 0; });
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
    stop = true;
    replacer.join();
  }
  EXPECT_EQ(good, 2 * kCalls);
}

}  // namespace
}  // namespace okms
