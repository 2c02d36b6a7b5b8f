// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the watchdog is told: here the KMS may be one that never answers, which no real one may.

#include "service/kms_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/backend.h"
#include "service/listen_socket.h"
#include "support/kms_client.h"
#include "support/status_is.h"
#include "support/temp_dir.h"

#include <poll.h>
#include <sys/socket.h>

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::IsOk;
using test::StatusIs;

// Keeps all questions for itself until it is told to answer them.
class SilentBackend : public Backend {
 public:
  void Locate(const std::string&, NextDeadline, Done<Located> done) override {
    Keep(std::move(done));
  }
  void Inspect(const std::string&, Deadline, Done<KeyInfo> done) override { Keep(std::move(done)); }
  void Encrypt(Way, const std::string&, Secret, Deadline, Done<Ciphertext> done) override {
    Keep(std::move(done));
  }
  void Decrypt(Way, const std::string&, Ciphertext, Deadline, Done<Secret> done) override {
    Keep(std::move(done));
  }
  void AnswerAll() {
    std::vector<absl::AnyInvocable<void()>> kept;
    {
      const std::lock_guard lock(mutex_);
      kept.swap(kept_);
    }
    for (auto& answer : kept) answer();
  }
  std::size_t kept() const {
    const std::lock_guard lock(mutex_);
    return kept_.size();
  }

 private:
  template <typename T>
  void Keep(Done<T> done) {
    const std::lock_guard lock(mutex_);
    kept_.emplace_back(
        [done = std::move(done)]() mutable { done(absl::UnavailableError("away")); });
  }
  mutable std::mutex mutex_;
  std::vector<absl::AnyInvocable<void()>> kept_;
};

class KmsServerTest : public ::testing::Test {
 protected:
  KmsServerTest() {
    auto backend = std::make_unique<SilentBackend>();
    backend_ = backend.get();
    keys_ = std::make_unique<KeyManager>(std::move(backend), logger_,
                                         KeyPolicy{KeyId{"key-1"}, kTimeout, kTimeout});
    auto server = KmsServer::Start(*keys_, logger_, kTimeout);
    EXPECT_THAT(server, IsOk());
    server_ = *std::move(server);
  }
  ~KmsServerTest() override {
    if (caller_.joinable()) caller_.join();
    backend_->AnswerAll();  // the server waits for its calls
  }

  // A client's call that the backend will not answer.
  void CallInVain(std::chrono::milliseconds timeout = 300ms) {
    auto socket = ListenSocket::Bind({.path = directory_ / "kms.sock", .abstract_name = {}}, {});
    ASSERT_THAT(socket, IsOk());
    caller_ = std::thread([this, timeout] {
      test::KmsClient client(directory_ / "kms.sock", {.timeout = timeout});
      answer_ = client.Decrypt({"ciphertext", "key", {}}).status();
    });
    pollfd entry{socket->fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&entry, 1, 10'000), 1);
    server_->Serve(UniqueFd(::accept4(socket->fd(), nullptr, nullptr, SOCK_NONBLOCK)));
    Await([&] { return backend_->kept() == 1; });
  }
  static void Await(const std::function<bool()>& condition) {
    const Deadline deadline = Clock::now() + 20s;
    while (!condition() && !Expired(deadline)) std::this_thread::sleep_for(1ms);
    EXPECT_TRUE(condition());
  }

  static constexpr std::chrono::milliseconds kTimeout = 5s;
  const test::TempDir directory_;
  const Logger logger_{false, [](const Event&) {}};
  SilentBackend* backend_ = nullptr;
  std::unique_ptr<KeyManager> keys_;
  std::unique_ptr<KmsServer> server_;
  absl::Status answer_;
  std::thread caller_;
};

TEST_F(KmsServerTest, NothingIsDueWhileNobodyCalls) {
  EXPECT_EQ(server_->CallDeadline(), Deadline::max());
}

// Also when its caller has long gone: what does not answer by the deadline may never do so.
TEST_F(KmsServerTest, CallThatIsStuckStaysDueUntilItIsAnswered) {
  const Deadline before = Clock::now();
  CallInVain();
  caller_.join();
  EXPECT_THAT(answer_, StatusIs(absl::StatusCode::kDeadlineExceeded, ::testing::_));
  EXPECT_GT(server_->CallDeadline(), before);
  EXPECT_LT(server_->CallDeadline(), Clock::now()) << "the caller's deadline, not ours";
  backend_->AnswerAll();
  EXPECT_EQ(server_->CallDeadline(), Deadline::max());
}

TEST_F(KmsServerTest, CallWithoutADeadlineGetsOurs) {
  const Deadline before = Clock::now();
  CallInVain(std::chrono::milliseconds::max());
  EXPECT_GE(server_->CallDeadline(), before + kTimeout - 1s);  // there is a margin
  EXPECT_LE(server_->CallDeadline(), Clock::now() + kTimeout);
  backend_->AnswerAll();
}

TEST_F(KmsServerTest, ProbeIsAnsweredAndMadeAgain) {
  keys_->Tick();  // the first check, whose verdict Status waits for
  const Deadline first = server_->ProbeDeadline();
  EXPECT_GT(first, Clock::now());
  EXPECT_LE(first, Clock::now() + kTimeout);
  Await([&] {
    backend_->AnswerAll();
    return server_->ProbeDeadline() != first;
  });
}

TEST_F(KmsServerTest, StatsTellOfCallsAndConnections) {
  CallInVain();
  ServiceStats stats = server_->Stats();
  EXPECT_EQ(stats.under_way, 1);
  EXPECT_EQ(stats.connections, 1);
  EXPECT_EQ(stats.served, 1);
  EXPECT_THAT(stats.methods[2].by_code, ::testing::IsEmpty());
  backend_->AnswerAll();
  caller_.join();
  Await([&] { return server_->Stats().connections == 0; });
  stats = server_->Stats();
  EXPECT_EQ(stats.under_way, 0);
  EXPECT_EQ(stats.served, 1);
  EXPECT_EQ(stats.other_calls, 0);
  EXPECT_THAT(stats.methods[2].by_code, ::testing::ElementsAre(::testing::Pair("UNAVAILABLE", 1)));
}

// Or nobody could see that kube-apiserver does not ask.
TEST_F(KmsServerTest, ProbeIsNotCounted) {
  keys_->Tick();
  const Deadline first = server_->ProbeDeadline();
  Await([&] {
    backend_->AnswerAll();
    return server_->ProbeDeadline() != first;
  });
  EXPECT_THAT(server_->Stats().methods[0].by_code, ::testing::IsEmpty());
}

// A Status that waits for a check that never ends is stuck, like any other call.
TEST_F(KmsServerTest, ProbeThatIsStuckStaysDue) {
  keys_->Tick();  // the check that keeps Status waiting
  const Deadline first = server_->ProbeDeadline();
  Await([&] { return server_->CallDeadline() != Deadline::max(); });
  EXPECT_EQ(server_->ProbeDeadline(), first);
  backend_->AnswerAll();
  Await([&] { return server_->ProbeDeadline() != first; });
}

}  // namespace
}  // namespace okms
