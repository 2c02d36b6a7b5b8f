// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How the tests wait: for a condition, never for a time.

#ifndef OKMS_TESTS_INTEGRATION_WAIT_H_
#define OKMS_TESTS_INTEGRATION_WAIT_H_

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "base/deadline.h"

namespace okms::test {

// Longer than anything takes on a busy machine: only a test that fails waits for so long.
inline constexpr std::chrono::seconds kPatience{20};

// Whether `condition` came true within `limit`.
template <typename Condition>
bool WaitUntil(Condition&& condition, std::chrono::milliseconds limit = kPatience) {
  const Deadline deadline = Clock::now() + limit;
  while (!condition()) {
    if (Expired(deadline)) return condition();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

// The value; or an exception, which ends the test (and its destructors run), when what a test
// stands on is not there.
template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return *std::move(result);
}
inline void Must(bool done, const std::string& what) {
  if (!done) throw std::runtime_error(what);
}

}  // namespace okms::test

#endif  // OKMS_TESTS_INTEGRATION_WAIT_H_
