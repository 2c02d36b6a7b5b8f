// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/io_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace okms {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

class IoLoopTest : public ::testing::Test {
 protected:
  // Until the loop has come past everything that was there before. Twice: the first time it may be
  // at what the kernel had told before that was there.
  void Settle() {
    for (int i = 0; i < 2; ++i) {
      std::promise<void> done;
      IoLoop::Timer timer;
      loop_->RunInTurn([&] { timer = loop_->At(Clock::now(), [&] { done.set_value(); }); });
      done.get_future().wait();
      loop_->RunInTurn([&] { timer.Stop(); });
    }
  }

  std::array<UniqueFd, 2> Pair() {
    int fds[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    return {UniqueFd(fds[0]), UniqueFd(fds[1])};
  }

  std::unique_ptr<IoLoop> loop_ = *IoLoop::Create();
};

TEST_F(IoLoopTest, WhoFindsNobodyAtWorkDoesItItself) {
  Settle();
  // The loop's thread may still be on its way into the kernel: nobody else takes the turn then.
  std::thread::id by;
  while (by != std::this_thread::get_id()) {
    std::promise<std::thread::id> ran;
    loop_->Post([&] { ran.set_value(std::this_thread::get_id()); });
    by = ran.get_future().get();
  }
}

TEST_F(IoLoopTest, WhoFindsTheTurnTakenDoesNotWait) {
  std::promise<void> let_go;
  std::promise<void> taken;
  std::thread busy([&] {
    loop_->RunInTurn([&] {
      taken.set_value();
      let_go.get_future().wait();
    });
  });
  taken.get_future().wait();
  std::promise<void> ran;
  loop_->Post([&] { ran.set_value(); });
  std::future<void> future = ran.get_future();
  EXPECT_EQ(future.wait_for(0s), std::future_status::timeout);
  let_go.set_value();
  future.wait();
  busy.join();
}

TEST_F(IoLoopTest, WhatIsPostedInTheTurnComesAfterIt) {
  std::vector<int> order;
  std::promise<void> done;
  loop_->Post([&] {
    loop_->Post([&] {
      order.push_back(2);
      done.set_value();
    });
    EXPECT_TRUE(loop_->InTurn());
    order.push_back(1);
  });
  done.get_future().wait();
  EXPECT_FALSE(loop_->InTurn());
  loop_->RunInTurn([&] { EXPECT_THAT(order, ElementsAre(1, 2)); });
}

TEST_F(IoLoopTest, EverythingRunsOnceAndNothingBesideAnother) {
  constexpr int kThreads = 4;
  constexpr int kTasks = 5000;
  int count = 0;  // of the turn
  std::promise<void> done;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int task = 0; task < kTasks; ++task) {
        loop_->Post([&] {
          if (++count == kThreads * kTasks) done.set_value();
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  done.get_future().wait();
  loop_->RunInTurn([&] { EXPECT_EQ(count, kThreads * kTasks); });
}

TEST_F(IoLoopTest, WhoWaitsForTheTurnLeavesNothingBehind) {
  for (int round = 0; round < 100; ++round) {
    std::promise<void> taken;
    std::promise<void> let_go;
    std::thread busy([&] {
      loop_->RunInTurn([&] {
        taken.set_value();
        let_go.get_future().wait();
      });
    });
    taken.get_future().wait();
    std::atomic<int> ran = 0;
    loop_->Post([&] { ++ran; });  // nobody can yet
    let_go.set_value();
    loop_->RunInTurn([&] {
      EXPECT_EQ(ran, 1);
      loop_->Post([&] { ++ran; });
    });
    EXPECT_EQ(ran, 2);
    busy.join();
  }
}

TEST_F(IoLoopTest, TimersAreDueInOrderOfTime) {
  std::vector<int> order;
  std::promise<void> done;
  std::vector<IoLoop::Timer> timers;
  loop_->RunInTurn([&] {
    const Deadline now = Clock::now();
    timers.push_back(loop_->At(now + 20ms, [&] {
      order.push_back(3);
      done.set_value();
    }));
    timers.push_back(loop_->At(now + 10ms, [&] { order.push_back(2); }));
    timers.push_back(loop_->At(now, [&] { order.push_back(1); }));
    timers.push_back(loop_->At(now + 5ms, [&] { order.push_back(99); }));
    timers.back().Stop();
  });
  done.get_future().wait();
  loop_->RunInTurn([&] {
    EXPECT_THAT(order, ElementsAre(1, 2, 3));
    timers.clear();
  });
}

TEST_F(IoLoopTest, ATimerThatAnotherThreadSetsWakesTheLoop) {
  Settle();
  std::promise<void> done;
  IoLoop::Timer timer;
  loop_->Post([&] { timer = loop_->At(Clock::now() + 1ms, [&] { done.set_value(); }); });
  done.get_future().wait();
  loop_->RunInTurn([&] { timer.Stop(); });
}

TEST_F(IoLoopTest, ATaskForLaterIsPostedFromAnyThread) {
  Settle();
  std::promise<void> done;
  loop_->PostAt(Clock::now() + 1ms, [&] {
    EXPECT_TRUE(loop_->InTurn());
    loop_->PostAt(Clock::now() + 1ms, [&] { done.set_value(); });
  });
  done.get_future().wait();
}

TEST_F(IoLoopTest, ATimerMayEndItselfAndOthers) {
  std::promise<void> done;
  std::optional<IoLoop::Timer> first;
  std::optional<IoLoop::Timer> second;
  loop_->RunInTurn([&] {
    const Deadline now = Clock::now();
    first = loop_->At(now, [&] {
      first.reset();
      second.reset();
    });
    second = loop_->At(now, [&] { ADD_FAILURE() << "it was stopped"; });
  });
  Settle();
}

TEST_F(IoLoopTest, ADescriptorIsToldAsLongAsItIsReady) {
  auto [here, there] = Pair();
  std::promise<void> done;
  std::vector<short> told;
  IoLoop::Watch watch;
  loop_->RunInTurn([&, &here = here] {
    watch = *loop_->OnReady(here.get(), POLLIN, [&](short events) {
      told.push_back(events);
      if (told.size() < 2) return;
      watch.Stop();
      done.set_value();
    });
  });
  ASSERT_EQ(::write(there.get(), "x", 1), 1);
  done.get_future().wait();
  Settle();
  loop_->RunInTurn([&] { EXPECT_THAT(told, ElementsAre(POLLIN, POLLIN)); });
}

TEST_F(IoLoopTest, OneCallbackMayEndTheOthers) {
  auto [here, there] = Pair();
  UniqueFd again(::dup(here.get()));
  std::atomic<int> told = 0;
  std::array<IoLoop::Watch, 2> watches;
  const auto ready = [&](short) {
    ++told;
    for (IoLoop::Watch& watch : watches) watch.Stop();
  };
  ASSERT_EQ(::write(there.get(), "x", 1), 1);
  loop_->RunInTurn([&, &here = here] {
    watches[0] = *loop_->OnReady(here.get(), POLLIN, ready);
    watches[1] = *loop_->OnReady(again.get(), POLLIN, ready);
  });
  Settle();
  EXPECT_EQ(told, 1);
}

TEST_F(IoLoopTest, WhatIsWaitedForChanges) {
  auto [here, there] = Pair();
  std::promise<short> done;
  IoLoop::Watch watch;
  loop_->RunInTurn([&, &here = here] {
    watch = *loop_->OnReady(here.get(), POLLIN, [&](short events) {
      watch.Stop();
      done.set_value(events);
    });
  });
  Settle();
  loop_->Post([&] { watch.Set(POLLOUT); });
  EXPECT_EQ(done.get_future().get(), POLLOUT);
}

TEST_F(IoLoopTest, WhatHasNotBegunIsDropped) {
  auto token = std::make_shared<int>(0);
  IoLoop::Timer timer;
  loop_->RunInTurn([&] {
    timer = loop_->At(Clock::now() + 1h, [token] { ADD_FAILURE(); });
    timer.Stop();
  });
  loop_->PostAt(Clock::now() + 1h, [token] { ADD_FAILURE(); });
  loop_.reset();
  EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace okms
