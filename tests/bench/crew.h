// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Threads that begin at the same moment.

#ifndef OKMS_TESTS_BENCH_CREW_H_
#define OKMS_TESTS_BENCH_CREW_H_

#include <cstddef>
#include <functional>
#include <latch>
#include <thread>
#include <vector>

#include "bench/sample.h"

namespace okms::test {

// Used by one thread.
class Crew {
 public:
  // Called once by each member, with its number and a sample of its own. Must not throw.
  using Work = std::function<void(std::size_t member, Sample& sample)>;

  // They begin when `gate` is down, which may be that of several crews. It must come down, and
  // outlive this.
  Crew(std::latch& gate, std::size_t size, Work work);
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // Blocks until all are done. Once.
  Sample Join();

 private:
  const Work work_;
  std::vector<Sample> samples_;
  std::vector<std::jthread> threads_;  // last: they use the others
};

}  // namespace okms::test

#endif  // OKMS_TESTS_BENCH_CREW_H_
