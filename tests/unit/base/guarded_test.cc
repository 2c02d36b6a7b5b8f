// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/guarded.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace okms {
namespace {

TEST(Guarded, ReturnsWhatTheFunctionReturns) {
  Guarded<std::string> text("abc");
  EXPECT_EQ(text.With([](std::string& value) { return value.size(); }), 3u);
  const auto& readable = text;
  EXPECT_EQ(readable.With([](const std::string& value) { return value; }), "abc");
}

TEST(Guarded, CountsRightWithManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kTimes = 10000;
  Guarded<int> count(0);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kTimes; ++j) count.With([](int& value) { ++value; });
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count.With([](int& value) { return value; }), kThreads * kTimes);
}

}  // namespace
}  // namespace okms
