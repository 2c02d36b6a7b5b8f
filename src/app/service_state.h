// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the service manager is told, and `systemctl status` shows.

#ifndef OKMS_APP_SERVICE_STATE_H_
#define OKMS_APP_SERVICE_STATE_H_

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "control/service_manager.h"

namespace okms {

// For one thread. Each call may wait until the manager takes it.
class ServiceState {
 public:
  // Without a manager the service works just as well, and nobody is told.
  ServiceState();

  // Why the manager that there is cannot be reached: systemd will say that it waits for READY=1.
  const absl::Status& unreachable() const { return unreachable_; }

  void Ready();
  // Something is read again, and then that has come to an end, whichever. Nothing before Ready.
  void Reloading() const;
  void Reloaded() const;
  void Alive() const;
  // Says it when it has changed: it may come each second.
  void Is(absl::string_view line);
  // Calls under way may take that long, which may be more than a unit's TimeoutStopSec=.
  void Stopping(std::chrono::milliseconds at_most) const;
  // Why it does not start, or has ended; shown until the next start.
  void Ended(const absl::Status& why) const;

 private:
  ServiceManager manager_;
  absl::Status unreachable_;
  std::string said_;
  bool ready_ = false;
};

}  // namespace okms

#endif  // OKMS_APP_SERVICE_STATE_H_
