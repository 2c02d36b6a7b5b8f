// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which calls are under way: for the watchdog, and for the end.

#ifndef OKMS_SERVICE_OPEN_CALLS_H_
#define OKMS_SERVICE_OPEN_CALLS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>

#include "base/deadline.h"

namespace okms {

// Thread-safe. One short lock at each end of a call; only the watchdog, which asks seldom, looks at
// all of them.
class OpenCalls {
 public:
  using Ticket = std::list<Deadline>::iterator;

  // A call has come that is to be answered by `deadline`.
  Ticket Begin(Deadline deadline) {
    std::list<Deadline> one{deadline};  // made before the lock is held
    const Ticket ticket = one.begin();
    const std::lock_guard lock(mutex_);
    unanswered_.splice(unanswered_.end(), one);
    ++begun_;
    return ticket;
  }
  // It has its answer.
  void Answered(Ticket ticket) {
    std::list<Deadline> one;  // freed after the lock is released
    const std::lock_guard lock(mutex_);
    one.splice(one.end(), unanswered_, ticket);
  }
  // How many there were so far, those under way among them.
  uint64_t begun() const {
    const std::lock_guard lock(mutex_);
    return begun_;
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return unanswered_.size();
  }
  bool None() const { return size() == 0; }
  // By when the first of those without an answer is to have one; the end of time when all have.
  Deadline FirstDeadline() const {
    const std::lock_guard lock(mutex_);
    const auto first = std::min_element(unanswered_.begin(), unanswered_.end());
    return first == unanswered_.end() ? Deadline::max() : *first;
  }

 private:
  mutable std::mutex mutex_;  // guards all below
  uint64_t begun_ = 0;
  std::list<Deadline> unanswered_;
};

}  // namespace okms

#endif  // OKMS_SERVICE_OPEN_CALLS_H_
