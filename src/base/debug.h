// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The course of events, for --debug: who was connected to, what was asked, how it went.
//
// Of the whole process, unlike all else that is logged: events happen in the lowest layers, which
// would otherwise have a Logger each for what nobody wants to read but once a year.

#ifndef OKMS_BASE_DEBUG_H_
#define OKMS_BASE_DEBUG_H_

#include <atomic>
#include <chrono>
#include <string>

#include "base/log.h"

namespace okms {

// While it lives, events go to `log`, which must outlive all threads that know of some. One at a
// time.
class DebugTo {
 public:
  explicit DebugTo(const Logger& log);
  ~DebugTo();
  DebugTo(const DebugTo&) = delete;
  DebugTo& operator=(const DebugTo&) = delete;

  // Null: nobody wants to know.
  static const Logger* log() { return log_.load(std::memory_order_acquire); }

 private:
  static std::atomic<const Logger*> log_;
};

// Logs what `line` returns: names, numbers and outcomes, and never a content, whether it is secret
// or not. What a peer chose must be Printable. Without --debug, `line` is not called.
template <typename Line>
void Debug(Line&& line) {
  if (const Logger* const log = DebugTo::log(); log != nullptr) [[unlikely]] {
    log->Debug(line());
  }
}

// From its making on; for lines of Debug only. Without --debug it does not look at the clock.
class Stopwatch {
 public:
  std::string Text() const;  // "12 ms"

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point began_ = DebugTo::log() != nullptr ? Clock::now() : Clock::time_point();
};

}  // namespace okms

#endif  // OKMS_BASE_DEBUG_H_
