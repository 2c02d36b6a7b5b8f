// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Who is asked when a host fails, is silent, or refuses.

#include "unit/core/failover_test.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#include "base/status.h"
#include "core/annotated_backend.h"

namespace okms::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using testing::StartsWith;
using Code = absl::StatusCode;

constexpr auto kSilence = FailoverState::kSilence;

class ThreeHostsTest : public FailoverTest {
 protected:
  ThreeHostsTest() : FailoverTest(3) {}
};

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
  EXPECT_THAT(a().locate, IsEmpty());
  FakeBackend::Answer<Located>(b().locate, absl::UnavailableError("no"));
  ASSERT_THAT(a().locate, SizeIs(1));
  EXPECT_EQ(a().locate.front().name, "label");
  FakeBackend::Answer<Located>(a().locate, Located{{"key"}});
  EXPECT_THAT(located, ElementsAre(IsOk()));
  // The second host was given the time of the first: a second look at it means a success.
  EXPECT_EQ(pages_, 1);
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
  for (const Code code : {Code::kResourceExhausted, Code::kCancelled, Code::kInternal}) {
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

// ---- Silence

TEST_F(FailoverTest, BesideASilentHostTheNextIsAsked) {
  const auto& result = Decrypt();
  Pass(kSilence - 1ms);
  EXPECT_EQ(b().pending(), 0u);
  Pass(1ms);
  ASSERT_THAT(b().decrypt, SizeIs(1));
  EXPECT_TRUE(Up(0)) << "nobody answered better";
  Decrypted(b(), Plain("of b"));
  ASSERT_THAT(result, SizeIs(1));
  EXPECT_EQ(AsText(result[0]->Reveal()), "of b");
  EXPECT_FALSE(Up(0));
  Decrypted(a(), Plain("late"));
  EXPECT_THAT(result, SizeIs(1));
  EXPECT_FALSE(Up(0)) << "that is for probes to tell";
  Decrypt();
  EXPECT_EQ(a().pending(), 0u);
  EXPECT_THAT(log_, ElementsAre(Pair(Severity::kWarning,
                                     "a is out: DEADLINE_EXCEEDED: it answers nobody, while b "
                                     "answers; b serves")));
}

TEST_F(FailoverTest, TheSilentHostMayStillBeTheFirst) {
  const auto& result = Decrypt();
  Pass(kSilence);
  Decrypted(a(), Plain("of a"));
  ASSERT_THAT(result, SizeIs(1));
  EXPECT_EQ(AsText(result[0]->Reveal()), "of a");
  Decrypted(b(), Plain("of b"));
  EXPECT_THAT(result, SizeIs(1));
  EXPECT_TRUE(Up(0));
  EXPECT_TRUE(Up(1));
}

TEST_F(FailoverTest, AHostThatAnswersOthersIsSlowRatherThanSilent) {
  const auto& slow = Decrypt("slow");
  for (int i = 0; i < 20; ++i) {
    Pass(200ms);
    Decrypt("quick");
    std::swap(a().decrypt.front(), a().decrypt.back());
    // A refusal is an answer, too; but it asks the next one itself.
    Decrypted(a(), Plain("seed"));
    if (i == 12) break;
  }
  EXPECT_EQ(b().pending(), 0u);
  EXPECT_THAT(slow, IsEmpty());
  Pass(kSilence);
  EXPECT_THAT(b().decrypt, SizeIs(1)) << "now it is silent";
}

// The one that was silent has answered others meanwhile.
TEST_F(FailoverTest, WhoHasSpokenMeanwhileStays) {
  Decrypt("first");
  Pass(kSilence);
  Decrypt("second");
  std::swap(a().decrypt.front(), a().decrypt.back());
  Decrypted(a(), Plain("seed"));
  Decrypted(b(), Plain("seed"));
  EXPECT_TRUE(Up(0));
}

TEST_F(ThreeHostsTest, TheAnswerEndsTheSearchForOne) {
  const auto& result = Decrypt();
  Pass(kSilence);
  Decrypted(b(), Plain("seed"));
  EXPECT_THAT(result, ElementsAre(IsOk()));
  Pass(10s);
  EXPECT_EQ(c().pending(), 0u);
}

// What comes after the answer says nothing of those who are still awaited.
TEST_F(ThreeHostsTest, ALateAnswerPutsNobodyOut) {
  Decrypt("first");
  Pass(kSilence);
  Decrypt("second");
  Pass(kSilence);
  ASSERT_THAT(c().decrypt, SizeIs(1));
  std::swap(a().decrypt.front(), a().decrypt.back());
  Decrypted(a(), Plain("seed"));
  Decrypted(c(), Plain("seed"));
  Pass(kSilence);
  EXPECT_FALSE(Up(1));
  Decrypted(b(), Plain("late"));
  EXPECT_TRUE(Up(0));
}

TEST_F(FailoverTest, AnErrorBesideASilentHostEndsNothing) {
  const auto& result = Decrypt();
  Pass(kSilence);
  Decrypted(b(), absl::UnavailableError("refused"));
  EXPECT_THAT(result, IsEmpty());
  now_ += 2s;
  Decrypted(a(), Plain("seed"));
  EXPECT_THAT(result, ElementsAre(IsOk()));
  const auto& full = Decrypt("full");
  Pass(kSilence);
  Decrypted(b(), absl::ResourceExhaustedError("the queue is full"));
  EXPECT_THAT(full, IsEmpty());
  Decrypted(a(), Plain("seed"));
  EXPECT_THAT(full, ElementsAre(IsOk()));
}

TEST_F(FailoverTest, WhenAllAreSilentTheTimeEnds) {
  const auto& result = Decrypt();
  Pass(3s);
  Decrypted(a(), absl::DeadlineExceededError("silence"));
  EXPECT_THAT(result, IsEmpty());
  Decrypted(b(), absl::DeadlineExceededError("silence"));
  EXPECT_THAT(result, ElementsAre(StatusIs(Code::kDeadlineExceeded, "a: silence; b: silence")));
  EXPECT_THAT(log_, IsEmpty());
}

// Each page of a list is an answer, and asked for by the host that is about to have it.
TEST_F(FailoverTest, AListOfManyPagesIsNoSilence) {
  std::vector<NextDeadline> next;
  class Lists : public NoBackend {
   public:
    explicit Lists(std::vector<NextDeadline>& next)
        : NoBackend(absl::InternalError("not in this test")), next_(next) {}
    void Locate(const std::string&, NextDeadline deadline, Done<Located> done) override {
      deadline();
      next_.push_back(std::move(deadline));
      done_.push_back(std::move(done));
    }
    std::vector<NextDeadline>& next_;
    std::vector<Done<Located>> done_;
  };
  std::vector<Failover::Host> hosts;
  auto first = std::make_unique<Lists>(next);
  Lists& lists = *first;
  hosts.push_back({"a", std::move(first)});
  hosts.push_back({"b", std::make_unique<Lists>(next)});
  Failover failover(
      std::move(hosts),
      [this](Deadline when, absl::AnyInvocable<void()> task) {
        timers_.emplace(when, std::move(task));
      },
      logger_, [this] { return now_; });
  int pages = 0;
  int answers = 0;
  failover.Locate(
      "label",
      [&] {
        ++pages;
        return now_ + 10s;
      },
      [&](auto) { ++answers; });
  for (int i = 0; i < 100; ++i) {
    Pass(200ms);
    EXPECT_EQ(next[0](), now_ + 10s);
  }
  EXPECT_THAT(next, SizeIs(1)) << "nobody else was asked";
  EXPECT_EQ(pages, 101);
  Pass(kSilence);
  ASSERT_THAT(next, SizeIs(2));
  next[1]();
  EXPECT_EQ(pages, 102);
  lists.done_[0](Located{});
  EXPECT_EQ(answers, 1);
  next[1]();
  next[0]();
  EXPECT_EQ(pages, 102) << "asked after the answer";
}

TEST_F(FailoverTest, OneTimerIsSetForAllCalls) {
  for (int i = 0; i < 1000; ++i) {
    Decrypt();
    now_ += 1us;
  }
  EXPECT_EQ(most_timers_, 1u);
  for (int i = 0; i < 100; ++i) {
    Pass(100ms);
    for (std::size_t calls = a().decrypt.size() / 2; calls > 0; --calls) {
      Decrypted(a(), Plain("seed"));
      Decrypt();
    }
  }
  EXPECT_EQ(most_timers_, 1u);
  while (a().pending() > 0) Decrypted(a(), Plain("seed"));
  Pass(1s);
  EXPECT_THAT(timers_, IsEmpty()) << "nothing is waited for";
}

// ---- Refusals

TEST_F(FailoverTest, WhatAllRefuseIsAnsweredAsTheFirstSaidItAndPutsNobodyOut) {
  for (const Code code : {Code::kNotFound, Code::kPermissionDenied, Code::kFailedPrecondition,
                          Code::kInvalidArgument}) {
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

// ---- Many calls, the end, threads

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

// Answers on threads of its own: well, with an error, or that it does not know the key.
class ThreadedBackend : public NoBackend {
 public:
  explicit ThreadedBackend(unsigned seed)
      : NoBackend(absl::InternalError("not in this test")), seed_(seed) {}
  ~ThreadedBackend() override {
    while (std::optional<std::thread> thread = Next()) thread->join();
  }
  void Decrypt(Way, const std::string&, Ciphertext ciphertext, Deadline,
               Done<Secret> done) override {
    const std::lock_guard lock(mutex_);
    seed_ = seed_ * 1'103'515'245 + 12'345;
    const unsigned kind = (seed_ >> 16) % 8;
    threads_.emplace_back(
        [kind, bytes = std::move(ciphertext.bytes), done = std::move(done)]() mutable {
          if (kind == 0) {
            done(absl::UnavailableError("reset"));
          } else if (kind == 1) {
            done(absl::NotFoundError("no such key"));
          } else {
            done(Plain(bytes));
          }
        });
  }

 private:
  std::optional<std::thread> Next() {
    const std::lock_guard lock(mutex_);
    if (threads_.empty()) return std::nullopt;
    std::thread next = std::move(threads_.back());
    threads_.pop_back();
    return next;
  }

  std::mutex mutex_;  // guards all below
  unsigned seed_;
  std::vector<std::thread> threads_;
};

TEST(FailoverThreadsTest, EveryCallHasOneAnswerAndItsOwn) {
  constexpr int kThreads = 8;
  constexpr int kCalls = 100;
  std::atomic<int> right = 0;
  std::atomic<int> failed = 0;
  const Logger logger(false, [](Severity, absl::string_view) {});
  {
    std::vector<Failover::Host> hosts;
    hosts.push_back({"a", std::make_unique<ThreadedBackend>(1)});
    hosts.push_back({"b", std::make_unique<ThreadedBackend>(2)});
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
