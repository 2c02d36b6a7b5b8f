// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/recent_events.h"

#include <utility>

namespace okms {
namespace {

bool IsChange(EventName name) {
  switch (name) {
    case EventName::kSignalIgnored:
    case EventName::kLinesLeftOut:
    case EventName::kOtherKeyUsed:
    case EventName::kCertificatesKept:
    case EventName::kCallFailed:
    case EventName::kCallsFailed:
    case EventName::kOldApiRefused:
    case EventName::kPeerRefused:
    case EventName::kAcceptFailed:
    case EventName::kStatusPagesTrouble:
    case EventName::kDebug: return false;
    default: return true;
  }
}

}  // namespace

Logger::Sink RecentEvents::Before(Logger::Sink next) {
  return [this, next = std::move(next)](const Event& event) {
    if (IsChange(event.name)) {
      events_.With([&](std::deque<Event>& events) {
        events.push_back(event);
        if (events.size() > kMost) events.pop_front();
      });
    }
    next(event);
  };
}

std::vector<Event> RecentEvents::Events() const {
  return events_.With(
      [](const std::deque<Event>& events) { return std::vector(events.begin(), events.end()); });
}

}  // namespace okms
