// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Whom a silent host has asked beside it.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/annotated_backend.h"
#include "unit/core/failover_test.h"

namespace okms::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using Code = absl::StatusCode;

constexpr auto kSilence = FailoverState::kSilence;

class ThreeHostsTest : public FailoverTest {
 protected:
  ThreeHostsTest() : FailoverTest(3) {}
};

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
  EXPECT_THAT(
      log_, ElementsAre(Pair(Severity::kWarning,
                             "a is out: DEADLINE_EXCEEDED: no answer to anybody for 250 ms, while "
                             "b answers; b serves")));
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

// Far away, or a gateway to something slow: that is not silence.
TEST_F(FailoverTest, AHostThatIsAlwaysSlowIsGivenTwiceItsTime) {
  for (int i = 0; i < 8; ++i) {
    Decrypt();
    Pass(400ms);
    EXPECT_EQ(std::exchange(b().decrypt, {}).size(), 1u) << "who knows";
    Decrypted(a(), Plain("seed"));
  }
  Decrypt();
  Pass(800ms - 1ms);
  EXPECT_EQ(b().pending(), 0u);
  Pass(1ms);
  EXPECT_THAT(b().decrypt, SizeIs(1));
  Decrypted(b(), Plain("seed"));
  EXPECT_THAT(log_, ElementsAre(Pair(Severity::kWarning,
                                     "a is out: DEADLINE_EXCEEDED: no answer to anybody for 800 "
                                     "ms, while b answers; b serves")));
}

TEST_F(FailoverTest, NobodyIsGivenMoreThanASecond) {
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(std::exchange(b().decrypt, {}).size(), i == 0 ? 0u : 1u);
    Decrypt();
    Pass(2s);
    Decrypted(a(), Plain("seed"));
  }
  EXPECT_EQ(std::exchange(b().decrypt, {}).size(), 1u);
  Decrypt();
  Pass(FailoverState::kHopeless - 1ms);
  EXPECT_EQ(b().pending(), 0u);
  Pass(1ms);
  EXPECT_THAT(b().decrypt, SizeIs(1));
}

TEST_F(FailoverTest, OneQuickAnswerInEightMakesItQuick) {
  for (int i = 0; i < 16; ++i) {
    Decrypt();
    if (i != 8) Pass(400ms);
    b().decrypt.clear();
    Decrypted(a(), Plain("seed"));
  }
  Decrypt();
  Pass(kSilence);
  EXPECT_THAT(b().decrypt, SizeIs(1));
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

}  // namespace
}  // namespace okms::test
