// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "bench/meter.h"

#include <unistd.h>

#include <algorithm>

#include "bench/process.h"

namespace okms::test {

using std::chrono::microseconds;

Meter::Meter(pid_t plugin, std::optional<pid_t> kms)
    : plugin_(plugin),
      kms_(kms),
      plugin_before_(CpuTime(plugin)),
      client_before_(CpuTime(::getpid())),
      kms_before_(kms ? CpuTime(*kms) : microseconds()),
      began_(std::chrono::steady_clock::now()) {}

nlohmann::json Meter::Read(std::size_t calls) const {
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began_;
  const auto count = static_cast<double>(std::max<std::size_t>(calls, 1));
  const auto per_call = [&](pid_t pid, microseconds before) {
    return static_cast<double>((CpuTime(pid) - before).count()) / count;
  };
  nlohmann::json figures = {{"seconds", took.count()},
                            {"per_second", static_cast<double>(calls) / took.count()},
                            {"cpu_us_per_call", per_call(plugin_, plugin_before_)},
                            {"client_cpu_us_per_call", per_call(::getpid(), client_before_)},
                            {"memory", Memory(plugin_)}};
  if (kms_) figures["kms_cpu_us_per_call"] = per_call(*kms_, kms_before_);
  return figures;
}

}  // namespace okms::test
