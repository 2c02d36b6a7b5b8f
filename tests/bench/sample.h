// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What some calls took, and how they ended.

#ifndef OKMS_TESTS_BENCH_SAMPLE_H_
#define OKMS_TESTS_BENCH_SAMPLE_H_

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"

namespace okms::test {

// The value that `part` (0 to 1) of them do not exceed, in ms; of none, 0. `sorted`: upwards.
double Percentile(const std::vector<std::chrono::microseconds>& sorted, double part);

// Not thread-safe: each thread has its own, and they are added up when the threads are done.
class Sample {
 public:
  // Makes the call, which returns an absl::Status.
  template <typename F>
  void Time(F&& call) {
    const auto began = std::chrono::steady_clock::now();
    const absl::Status outcome = std::forward<F>(call)();
    Add(std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                              began),
        outcome);
  }
  void Add(std::chrono::microseconds latency, const absl::Status& outcome);
  void Add(Sample&& other);

  std::size_t calls() const { return latencies_.size(); }
  // calls, errors, errors_by_text, and latency_ms: p50, p90, p99, p99.9 and max.
  nlohmann::json ToJson() const;

 private:
  std::vector<std::chrono::microseconds> latencies_;
  std::map<std::string, long> errors_;  // by what was said
};

}  // namespace okms::test

#endif  // OKMS_TESTS_BENCH_SAMPLE_H_
