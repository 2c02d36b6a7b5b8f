// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What proc(5) and a socket say about a process.

#ifndef OKMS_TESTS_BENCH_PROCESS_H_
#define OKMS_TESTS_BENCH_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/unique_fd.h"

namespace okms::test {

// A connection to the unix socket (a path, or "@name"); empty when nobody listens.
UniqueFd Connect(const std::string& socket);

// Who made the listening socket. Throws std::runtime_error when nobody listens.
pid_t ServerOf(const std::string& socket);

// User and system time of all its threads; the resolution is a tick, 10 ms as a rule. 0 when it has
// gone.
std::chrono::microseconds CpuTime(pid_t pid);

// resident_kb, resident_peak_kb, anonymous_kb and threads, as far as there are any.
nlohmann::json Memory(pid_t pid);

// Stops a process, as a KMS that hangs, while this lives. Of nothing: does nothing.
class Stopped {
 public:
  explicit Stopped(std::optional<pid_t> pid);
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;
  ~Stopped();

 private:
  const std::optional<pid_t> pid_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_BENCH_PROCESS_H_
