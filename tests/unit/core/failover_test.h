// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Hosts whose answers the test gives by hand, and time that passes by hand.

#ifndef OKMS_TESTS_UNIT_CORE_FAILOVER_TEST_H_
#define OKMS_TESTS_UNIT_CORE_FAILOVER_TEST_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/failover.h"
#include "support/status_is.h"
#include "unit/core/fake_backend.h"

namespace okms::test {

// Cancels what is under way when it is destroyed, as every backend does.
class EndingBackend : public FakeBackend {
 public:
  ~EndingBackend() override {
    const absl::Status end = absl::CancelledError("the end");
    while (!locate.empty()) Answer<Located>(locate, end);
    while (!inspect.empty()) Answer<KeyInfo>(inspect, end);
    while (!encrypt.empty()) Answer<Ciphertext>(encrypt, end);
    while (!decrypt.empty()) Answer<Secret>(decrypt, end);
  }
};

class FailoverScene {
 public:
  // What a call came to.
  template <typename T>
  using Results = std::vector<absl::StatusOr<T>>;
  using Lines = std::vector<std::pair<Severity, std::string>>;

  explicit FailoverScene(std::size_t hosts = 2) {
    std::vector<Failover::Host> made;
    for (std::size_t i = 0; i < hosts; ++i) {
      auto fake = std::make_unique<EndingBackend>();
      fakes_.push_back(fake.get());
      made.push_back({std::string(1, static_cast<char>('a' + i)), std::move(fake)});
    }
    failover_ = std::make_unique<Failover>(
        std::move(made),
        [this](Deadline when, absl::AnyInvocable<void()> task) {
          timers_.emplace(when, std::move(task));
          most_timers_ = std::max(most_timers_, timers_.size());
        },
        logger_, [this] { return now_; });
  }

  template <typename T>
  static auto Into(std::deque<Results<T>>& all) {
    return [&results = all.emplace_back()](absl::StatusOr<T> result) {
      results.push_back(std::move(result));
    };
  }
  Results<Secret>& Decrypt(std::string bytes = "bytes", Way way = Way::kDecrypts,
                           Clock::duration patience = std::chrono::seconds(3)) {
    failover_->Decrypt(way, "key", {std::move(bytes), {}}, now_ + patience, Into(decrypted_));
    return decrypted_.back();
  }
  Results<Ciphertext>& Encrypt(Way way = Way::kEncrypts, const std::string& key_id = "key") {
    failover_->Encrypt(way, key_id, Plain("seed"), now_ + std::chrono::seconds(3),
                       Into(encrypted_));
    return encrypted_.back();
  }
  Results<KeyInfo>& Inspect(const std::string& key_id = "key") {
    failover_->Inspect(key_id, now_ + std::chrono::seconds(10), Into(inspected_));
    return inspected_.back();
  }
  Results<Located>& Locate() {
    failover_->Locate(
        "label",
        [this] {
          ++pages_;
          return now_ + std::chrono::seconds(10);
        },
        Into(located_));
    return located_.back();
  }

  FakeBackend& a() { return *fakes_[0]; }
  FakeBackend& b() { return *fakes_[1]; }
  FakeBackend& c() { return *fakes_[2]; }

  static void Decrypted(FakeBackend& host, absl::StatusOr<Secret> result) {
    FakeBackend::Answer<Secret>(host.decrypt, std::move(result));
  }
  // Who encrypts is tried first with the record, if there is one.
  static void Encrypted(FakeBackend& host, absl::StatusOr<Ciphertext> result) {
    if (host.encrypt.empty()) ReadsRecord(host);
    FakeBackend::Answer<Ciphertext>(host.encrypt, std::move(result));
  }
  // The oldest Decrypt at that host is that of the record of the key.
  static void ReadsRecord(FakeBackend& host) {
    ASSERT_FALSE(host.decrypt.empty());
    EXPECT_EQ(host.decrypt.front().input, "record");
    EXPECT_EQ(host.decrypt.front().way, Way::kChecks);
    Decrypted(host, Plain("seed"));
  }

  // Runs what is due, as the time goes.
  void Pass(Clock::duration time) {
    const Deadline end = now_ + time;
    while (!timers_.empty() && timers_.begin()->first <= end) {
      auto due = timers_.extract(timers_.begin());
      now_ = std::max(now_, due.key());
      due.mapped()();
    }
    now_ = end;
  }
  // A check's round trip by the first host makes the record.
  void RoundTrip() {
    Encrypt(Way::kChecks);
    Encrypted(a(), Ciphertext{"record", {}});
    Decrypt("record", Way::kChecks);
    Decrypted(a(), Plain("seed"));
  }
  // By which all are probed at once.
  void MakeRecord() {
    RoundTrip();
    Pass(std::chrono::milliseconds(0));
    for (FakeBackend* host : fakes_) ReadsRecord(*host);
  }
  // Until that host is probed; the others are as they should be.
  void AwaitProbe(FakeBackend& host) {
    for (int i = 0; i < 1'000 && host.pending() == 0; ++i) {
      Pass(std::chrono::milliseconds(100));
      for (FakeBackend* other : fakes_) {
        while (other != &host && other->pending() > 0) ReadsRecord(*other);
      }
    }
  }
  // From now on the preferred one is out.
  void LoseFirst() {
    Decrypt();
    Decrypted(a(), absl::UnavailableError("connection refused"));
    Decrypted(b(), Plain("seed"));
    ASSERT_FALSE(failover_->Hosts()[0].up);
    log_.clear();
  }
  bool Up(std::size_t host) const { return failover_->Hosts()[host].up; }

  Deadline now_ = Clock::now();
  Lines log_;
  const Logger logger_{
      false, [this](const Event& event) { log_.emplace_back(event.severity, event.text); }};
  std::multimap<Deadline, absl::AnyInvocable<void()>> timers_;
  std::size_t most_timers_ = 0;
  int pages_ = 0;
  std::vector<FakeBackend*> fakes_;
  std::deque<Results<Secret>> decrypted_;
  std::deque<Results<Ciphertext>> encrypted_;
  std::deque<Results<KeyInfo>> inspected_;
  std::deque<Results<Located>> located_;
  std::unique_ptr<Failover> failover_;  // last: what it has under way ends in the above
};

class FailoverTest : public testing::Test, protected FailoverScene {
 protected:
  using FailoverScene::FailoverScene;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_UNIT_CORE_FAILOVER_TEST_H_
