// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How values are distributed: how long something took, or how many there were at once.

#ifndef OKMS_BASE_HISTOGRAM_H_
#define OKMS_BASE_HISTOGRAM_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <ratio>
#include <vector>

namespace okms {

// What a histogram holds at some moment.
struct Distribution {
  std::vector<double> bounds;    // each the last value of its bucket, rising
  std::vector<uint64_t> counts;  // of each bucket; and one more, of all that is beyond
  double sum = 0;                // of the values
};

// Of whole numbers up to kBounds; `Unit` says what one of them is for who looks (std::nano: it sees
// seconds). Two additions a value. Thread-safe; orders nothing: what is seen while values come may
// lack the last of them in one place and not in the other.
template <const auto& kBounds, typename Unit = std::ratio<1>>
class Histogram {
 public:
  void Add(int64_t value) {
    const auto bucket = std::lower_bound(std::begin(kBounds), std::end(kBounds), value);
    counts_[static_cast<std::size_t>(bucket - std::begin(kBounds))].fetch_add(
        1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
  }
  void Add(std::chrono::nanoseconds time) { Add(time.count()); }

  Distribution Stats() const {
    const auto shown = [](int64_t value) {
      return static_cast<double>(value) * Unit::num / Unit::den;
    };
    Distribution stats;
    for (const int64_t bound : kBounds) stats.bounds.push_back(shown(bound));
    for (const auto& count : counts_) stats.counts.push_back(count.load(std::memory_order_relaxed));
    stats.sum = shown(sum_.load(std::memory_order_relaxed));
    return stats;
  }

 private:
  std::array<std::atomic<uint64_t>, std::size(kBounds) + 1> counts_{};
  std::atomic<int64_t> sum_ = 0;
};

// From 100 us, which a call of our own process takes, to 10 s, which none may exceed by default.
inline constexpr std::array<int64_t, 16> kTimeBounds = {
    100'000,       250'000,       500'000,       1'000'000,     2'500'000,   5'000'000,
    10'000'000,    25'000'000,    50'000'000,    100'000'000,   250'000'000, 500'000'000,
    1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};
// Shown in seconds.
using TimeHistogram = Histogram<kTimeBounds, std::nano>;

}  // namespace okms

#endif  // OKMS_BASE_HISTOGRAM_H_
