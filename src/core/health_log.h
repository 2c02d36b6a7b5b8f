// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the log is told of the key's health: one line a change.

#ifndef OKMS_CORE_HEALTH_LOG_H_
#define OKMS_CORE_HEALTH_LOG_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/deadline.h"
#include "base/event.h"
#include "core/health.h"

namespace okms {

// Pure; not thread-safe.
class HealthLog {
 public:
  // What is new since the last call.
  std::vector<Event> Changes(const Health& health, Deadline now);

  // Somebody has given the key another name: what comes of it is always said.
  void NameWasGiven() { name_spent_ = Deadline(); }

  // Whether the last that was said is that something is wrong with the key.
  bool unwell() const { return !reasons_.empty(); }

 private:
  // Each reason is said once until all is well again.
  bool IsNewReason(const absl::Status& status);
  // What is said of the name, if there is room for it.
  void SpeakOfName(const Health& health, Deadline now, std::vector<Event>& events);

  std::string key_id_;
  std::vector<absl::Status> reasons_;  // said since all was well; none while it is
  std::string note_;                   // what was said last of the name
  Deadline name_spent_;                // until when what was said of it counts as much
  bool name_unproven_ = false;
};

}  // namespace okms

#endif  // OKMS_CORE_HEALTH_LOG_H_
