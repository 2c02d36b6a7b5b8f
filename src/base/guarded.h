// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Data that can only be reached with its lock held.

#ifndef OKMS_BASE_GUARDED_H_
#define OKMS_BASE_GUARDED_H_

#include <mutex>
#include <utility>

namespace okms {

// `guarded.With([](T& value) { ... })` runs the function under the lock and returns what it
// returns. Keep the function short: it must not block or call out.
template <typename T>
class Guarded {
 public:
  template <typename... Args>
  explicit Guarded(Args&&... args) : value_(std::forward<Args>(args)...) {}

  template <typename F>
  decltype(auto) With(F&& function) {
    const std::lock_guard lock(mutex_);
    return std::forward<F>(function)(value_);
  }
  template <typename F>
  decltype(auto) With(F&& function) const {
    const std::lock_guard lock(mutex_);
    return std::forward<F>(function)(value_);
  }

 private:
  mutable std::mutex mutex_;
  T value_;
};

}  // namespace okms

#endif  // OKMS_BASE_GUARDED_H_
