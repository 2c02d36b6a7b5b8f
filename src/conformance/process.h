// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A program in the kit's hands: the plugin, or its KMS.

#ifndef OKMS_CONFORMANCE_PROCESS_H_
#define OKMS_CONFORMANCE_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace okms::conformance {

using Variables = std::map<std::string, std::string>;

// Runs the command by sh(1) to its end; what it writes goes to standard error. Errors:
// kFailedPrecondition, it failed.
absl::Status RunToEnd(const std::string& command, const Variables& variables);

// From now on SIGINT and SIGTERM end us with all processes that there are.
void EndAllOnSignals();

// Stays the same thing when it is started again. Killed with all of its process group at the
// latest by the destructor. For one thread; there are two at most.
class Process {
 public:
  // A simple command for sh(1), which becomes it. What it writes is kept, or goes to standard
  // error.
  Process(std::string command, bool keeps_output)
      : command_(std::move(command)), keeps_output_(keeps_output) {}
  ~Process() { Kill(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  bool given() const { return !command_.empty(); }
  // With these variables besides our own. Errors: kFailedPrecondition.
  absl::Status Start(const Variables& variables);
  bool Running();
  pid_t pid() const { return pid_; }  // 0: none

  // To all of the group.
  void Signal(int signal) const;
  // Whether it ended by itself within `limit`.
  bool Wait(std::chrono::milliseconds limit);
  void Kill();

  // How it ended last: "exit status 2".
  const std::string& end() const { return end_; }
  // What it has written since it was started, the first megabyte, where it is kept.
  std::string Output() const;

 private:
  const std::string command_;
  const bool keeps_output_;
  UniqueFd output_;  // a file that has no name
  pid_t pid_ = 0;
  std::string end_;
};

}  // namespace okms::conformance

#endif  // OKMS_CONFORMANCE_PROCESS_H_
