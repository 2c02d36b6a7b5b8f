// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "bench/crew.h"

#include <utility>

namespace okms::test {

Crew::Crew(std::latch& gate, std::size_t size, Work work) : work_(std::move(work)), samples_(size) {
  for (std::size_t member = 0; member < size; ++member) {
    threads_.emplace_back([this, &gate, member] {
      gate.wait();
      work_(member, samples_[member]);
    });
  }
}

Sample Crew::Join() {
  for (std::jthread& thread : threads_) thread.join();
  Sample all;
  for (Sample& sample : samples_) all.Add(std::move(sample));
  return all;
}

}  // namespace okms::test
