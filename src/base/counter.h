// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What is counted for people to see.

#ifndef OKMS_BASE_COUNTER_H_
#define OKMS_BASE_COUNTER_H_

#include <atomic>
#include <cstdint>

namespace okms {

// How often something happened. Thread-safe; orders nothing.
class Counter {
 public:
  void Add(uint64_t more = 1) { value_.fetch_add(more, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_ = 0;
};

// How many of something there are. Thread-safe; orders nothing.
class Gauge {
 public:
  void Add(int64_t more) { value_.fetch_add(more, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_ = 0;
};

// One of them, for as long as it lives.
class Counted {
 public:
  explicit Counted(Gauge& gauge) : gauge_(gauge) { gauge_.Add(1); }
  ~Counted() { gauge_.Add(-1); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  Gauge& gauge_;
};

}  // namespace okms

#endif  // OKMS_BASE_COUNTER_H_
