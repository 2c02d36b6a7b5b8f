// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// systemd's watchdog (sd_watchdog_enabled(3)): it restarts us when it hears nothing for a time.

#ifndef OKMS_CONTROL_WATCHDOG_H_
#define OKMS_CONTROL_WATCHDOG_H_

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/log.h"

namespace okms {

// Reports only while work gets done. That the event loop's thread runs is not enough: the threads
// that do the work may wait for each other. A KMS that is away is no reason to restart, since each
// piece of work ends by its deadline then, too. Used by one thread.
class Watchdog {
 public:
  // Some work that must not be overdue.
  struct Work {
    std::string name;
    // By when the first piece of it is to be done; the end of time when there is nothing to do.
    std::function<Deadline()> due;
  };

  // `grace` is how late a piece of work may be. `alive` reports to systemd.
  Watchdog(std::vector<Work> work, std::chrono::milliseconds grace, const Logger& log,
           std::function<void()> alive)
      : work_(std::move(work)), grace_(grace), log_(log), alive_(std::move(alive)) {}

  // Reports if nothing is overdue. Logs one line when it stops to report, and when it begins again.
  void Tick();

  // How often systemd wants to hear from us (twice as often as it waits for); none when it does
  // not.
  static std::optional<std::chrono::microseconds> Interval();

 private:
  std::vector<Work> work_;
  std::chrono::milliseconds grace_;
  const Logger& log_;
  std::function<void()> alive_;
  bool stuck_ = false;
};

}  // namespace okms

#endif  // OKMS_CONTROL_WATCHDOG_H_
