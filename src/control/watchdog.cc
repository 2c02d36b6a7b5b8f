// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/watchdog.h"

#include <systemd/sd-daemon.h>

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace okms {

void Watchdog::Tick() {
  const Deadline now = Clock::now();
  std::vector<std::string> stuck;
  for (const Work& work : work_) {
    const Deadline due = work.due();
    if (due >= now || now - due <= grace_) continue;
    const auto late = std::chrono::duration_cast<std::chrono::seconds>(now - due).count();
    stuck.push_back(absl::StrCat(work.name, " (", late, " s overdue)"));
  }
  if (stuck.empty()) {
    if (stuck_) log_.Notice(EventName::kUnstuck, "watchdog: all work gets done again");
    alive_();
  } else if (!stuck_) {
    log_.Error(EventName::kStuck,
               absl::StrCat("watchdog: stuck, to be restarted: ", absl::StrJoin(stuck, ", ")));
  }
  stuck_ = !stuck.empty();
}

std::optional<std::chrono::microseconds> Watchdog::Interval() {
  uint64_t limit = 0;  // microseconds
  if (::sd_watchdog_enabled(/*unset_environment=*/0, &limit) <= 0) return std::nullopt;
  return std::chrono::microseconds(limit / 2);
}

}  // namespace okms
