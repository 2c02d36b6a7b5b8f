// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Deadlines: every operation that may block carries one, and nothing blocks past it.

#ifndef OKMS_BASE_DEADLINE_H_
#define OKMS_BASE_DEADLINE_H_

#include <algorithm>
#include <chrono>
#include <climits>

namespace okms {

// Monotonic: a step of the wall clock must neither shorten nor stretch a call.
using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

inline bool Expired(Deadline deadline) { return Clock::now() >= deadline; }

// Milliseconds for poll(2), rounded up so that a wait never ends just before its deadline;
// 0 once the deadline has passed.
inline int PollTimeout(Deadline deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<decltype(left)>(left, 0, INT_MAX));
}

}  // namespace okms

#endif  // OKMS_BASE_DEADLINE_H_
