// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Many calls at once, on many threads, and at the end.

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/annotated_backend.h"
#include "unit/core/failover_test.h"
#include "unit/core/threaded_backend.h"

namespace okms::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;
using Code = absl::StatusCode;

constexpr auto kSilence = FailoverState::kSilence;

TEST_F(FailoverTest, ThousandCallsOutliveTheirHost) {
  for (int i = 0; i < 1000; ++i) Decrypt(absl::StrCat(i));
  while (a().pending() > 0) Decrypted(a(), absl::UnavailableError("reset"));
  EXPECT_THAT(b().decrypt, SizeIs(1000));
  while (b().pending() > 0) {
    const std::string bytes = b().decrypt.front().input;
    Decrypted(b(), Plain(bytes));
  }
  for (int i = 0; i < 1000; ++i) {
    ASSERT_THAT(decrypted_[static_cast<std::size_t>(i)], ElementsAre(IsOk()));
    EXPECT_EQ(AsText(decrypted_[static_cast<std::size_t>(i)][0]->Reveal()), absl::StrCat(i));
  }
  EXPECT_THAT(log_, SizeIs(1));
}

TEST_F(FailoverTest, ThousandCallsOutliveASilentHost) {
  for (int i = 0; i < 1000; ++i) {
    Decrypt(absl::StrCat(i));
    Pass(100us);
  }
  Pass(kSilence);
  EXPECT_THAT(b().decrypt, SizeIs(1000));
  while (b().pending() > 0) Decrypted(b(), Plain("seed"));
  Pass(3s);
  while (a().pending() > 0) Decrypted(a(), absl::DeadlineExceededError("silence"));
  for (const auto& result : decrypted_) EXPECT_THAT(result, ElementsAre(IsOk()));
  EXPECT_THAT(log_, SizeIs(1));
}

TEST_F(FailoverTest, TheEndAnswersAllAndAsksNobody) {
  const auto& waiting = Decrypt();
  const auto& silent = Encrypt();
  Pass(kSilence);
  EXPECT_EQ(b().pending(), 2u);
  const auto& located = Locate();
  // Asks again as it is answered.
  Results<Secret> again;
  Failover* const failover = failover_.get();
  failover->Decrypt(Way::kDecrypts, "key", {"bytes", {}}, now_ + 3s, [&](auto) {
    failover->Decrypt(Way::kDecrypts, "key", {"bytes", {}}, now_ + 3s,
                      [&](auto result) { again.push_back(std::move(result)); });
  });
  auto timers = std::move(timers_);
  failover_.reset();
  EXPECT_THAT(waiting, ElementsAre(StatusIs(Code::kCancelled, "the end")));
  EXPECT_THAT(silent, ElementsAre(StatusIs(Code::kCancelled, "the end")));
  EXPECT_THAT(located, ElementsAre(StatusIs(Code::kCancelled, "the end")));
  EXPECT_THAT(again, ElementsAre(StatusIs(Code::kCancelled, StartsWith("the plugin"))));
  for (auto& timer : timers) timer.second();  // which do nothing any more
  EXPECT_THAT(log_, IsEmpty());
}

// Not even an error of the way, at the end, leads to a host that may be gone.
TEST_F(FailoverTest, AnErrorAtTheEndLeadsNowhere) {
  class Failing : public FakeBackend {
   public:
    ~Failing() override { Answer<Secret>(decrypt, absl::UnavailableError("closed")); }
  };
  int asked = 0;
  class Counting : public FakeBackend {
   public:
    explicit Counting(int& asked) : asked_(asked) {}
    void Decrypt(Way, const std::string&, Ciphertext, Deadline, Done<Secret> done) override {
      ++asked_;
      done(Plain("seed"));
    }

   private:
    int& asked_;
  };
  Results<Secret> result;
  {
    std::vector<Failover::Host> hosts;
    hosts.push_back({"a", std::make_unique<Failing>()});
    hosts.push_back({"b", std::make_unique<Counting>(asked)});
    Failover failover(
        std::move(hosts), [](Deadline, auto) {}, logger_);
    failover.Decrypt(Way::kDecrypts, "key", {"bytes", {}}, Clock::now() + 3s,
                     [&](auto answer) { result.push_back(std::move(answer)); });
  }
  EXPECT_THAT(result, ElementsAre(StatusIs(Code::kCancelled, StartsWith("the plugin"))));
  EXPECT_EQ(asked, 0);
}

// Well, with an error, or that it does not know the key.
std::unique_ptr<Backend> MakeUnsteady(unsigned seed) {
  return std::make_unique<ThreadedBackend>(
      [seed](const std::string& bytes) mutable -> absl::StatusOr<std::string> {
        seed = seed * 1'103'515'245 + 12'345;
        switch ((seed >> 16) % 8) {
          case 0: return absl::UnavailableError("reset");
          case 1: return absl::NotFoundError("no such key");
          default: return bytes;
        }
      });
}

TEST(FailoverThreadsTest, EveryCallHasOneAnswerAndItsOwn) {
  constexpr int kThreads = 8;
  constexpr int kCalls = 100;
  std::atomic<int> right = 0;
  std::atomic<int> failed = 0;
  const Logger logger(false, [](const Event&) {});
  {
    std::vector<Failover::Host> hosts;
    hosts.push_back({"a", MakeUnsteady(1)});
    hosts.push_back({"b", MakeUnsteady(2)});
    Failover failover(
        std::move(hosts), [](Deadline, auto) {}, logger);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        for (int call = 0; call < kCalls; ++call) {
          const std::string bytes = absl::StrCat(i, " ", call);
          failover.Decrypt(Way::kDecrypts, "key", {bytes, {}}, Clock::now() + 60s,
                           [&, bytes](absl::StatusOr<Secret> result) {
                             if (!result.ok()) {
                               ++failed;
                             } else if (AsText(result->Reveal()) == bytes) {
                               ++right;
                             }
                           });
          failover.Hosts();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }  // while answers are on their way
  EXPECT_EQ(right + failed, kThreads * kCalls);
  EXPECT_GT(right, kThreads * kCalls / 2);
}

}  // namespace
}  // namespace okms::test
