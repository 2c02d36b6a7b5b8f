// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What calls cost: time, and the CPU time of all who take part.

#ifndef OKMS_TESTS_BENCH_METER_H_
#define OKMS_TESTS_BENCH_METER_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>

#include <nlohmann/json.hpp>

namespace okms::test {

class Meter {
 public:
  // Begins to measure.
  Meter(pid_t plugin, std::optional<pid_t> kms);

  // seconds and per_second; cpu_us_per_call (of the plugin), client_cpu_us_per_call (of this
  // process) and, if its process is known, kms_cpu_us_per_call; memory of the plugin. `calls`: how
  // many there were, at least one.
  nlohmann::json Read(std::size_t calls) const;

 private:
  const pid_t plugin_;
  const std::optional<pid_t> kms_;
  const std::chrono::microseconds plugin_before_;
  const std::chrono::microseconds client_before_;
  const std::chrono::microseconds kms_before_;
  const std::chrono::steady_clock::time_point began_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_BENCH_METER_H_
