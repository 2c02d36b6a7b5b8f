// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "bench/sample.h"

#include <algorithm>

namespace okms::test {

using std::chrono::microseconds;

double Percentile(const std::vector<microseconds>& sorted, double part) {
  if (sorted.empty()) return 0;
  const auto index = static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1));
  return static_cast<double>(sorted[index].count()) / 1000;
}

void Sample::Add(microseconds latency, const absl::Status& outcome) {
  latencies_.push_back(latency);
  if (!outcome.ok()) ++errors_[outcome.ToString()];
}

void Sample::Add(Sample&& other) {
  latencies_.insert(latencies_.end(), other.latencies_.begin(), other.latencies_.end());
  for (const auto& [said, times] : other.errors_) errors_[said] += times;
}

nlohmann::json Sample::ToJson() const {
  std::vector<microseconds> sorted = latencies_;
  std::sort(sorted.begin(), sorted.end());
  long failed = 0;
  for (const auto& [said, times] : errors_) failed += times;
  return {{"calls", sorted.size()},
          {"errors", failed},
          {"errors_by_text", errors_},
          {"latency_ms",
           {{"p50", Percentile(sorted, 0.5)},
            {"p90", Percentile(sorted, 0.9)},
            {"p99", Percentile(sorted, 0.99)},
            {"p99.9", Percentile(sorted, 0.999)},
            {"max", Percentile(sorted, 1)}}}};
}

}  // namespace okms::test
