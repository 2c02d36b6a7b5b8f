// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/service_state.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/deadline.h"
#include "base/utf8.h"

namespace okms {

ServiceState::ServiceState() {
  absl::StatusOr<ServiceManager> manager = ServiceManager::Connect();
  unreachable_ = manager.status();
  if (manager.ok()) manager_ = *std::move(manager);
}

void ServiceState::Ready() {
  ready_ = true;
  manager_.Notify("READY=1");
}

// Type=notify-reload tells by the time that it is the answer to its signal: systemd.service(5).
void ServiceState::Reloading() const {
  if (!ready_) return;
  const auto since_boot = absl::FromChrono(Clock::now().time_since_epoch());
  manager_.Notify(
      absl::StrCat("RELOADING=1\nMONOTONIC_USEC=", absl::ToInt64Microseconds(since_boot)));
}

void ServiceState::Reloaded() const {
  if (ready_) manager_.Notify("READY=1");
}

void ServiceState::Alive() const { manager_.Notify("WATCHDOG=1"); }

void ServiceState::Is(absl::string_view line) {
  if (line == said_) return;
  manager_.Notify(absl::StrCat("STATUS=", line));
  said_ = std::string(line);
}

void ServiceState::Stopping(std::chrono::milliseconds at_most) const {
  manager_.Notify(absl::StrCat("STOPPING=1\nEXTEND_TIMEOUT_USEC=",
                               absl::ToInt64Microseconds(absl::FromChrono(at_most))));
}

void ServiceState::Ended(const absl::Status& why) const {
  manager_.Notify(absl::StrCat("STATUS=ended: ", OneLine(why.message())));
}

}  // namespace okms
