// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What happened last, for who looks when it has happened.

#ifndef OKMS_BASE_RECENT_EVENTS_H_
#define OKMS_BASE_RECENT_EVENTS_H_

#include <cstddef>
#include <deque>
#include <vector>

#include "base/event.h"
#include "base/guarded.h"
#include "base/log.h"

namespace okms {

// Keeps the last changes of how the plugin is, on their way to the log. Calls that fail are none:
// they would soon be all that there is. Thread-safe.
class RecentEvents {
 public:
  static constexpr std::size_t kMost = 16;

  // A sink that keeps what tells a change, and passes all on to `next`. It must not outlive this.
  Logger::Sink Before(Logger::Sink next);

  // The oldest first.
  std::vector<Event> Events() const;

 private:
  Guarded<std::deque<Event>> events_;
};

}  // namespace okms

#endif  // OKMS_BASE_RECENT_EVENTS_H_
