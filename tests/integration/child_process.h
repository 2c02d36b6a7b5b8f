// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A program that runs beside the test: the plugin.

#ifndef OKMS_TESTS_INTEGRATION_CHILD_PROCESS_H_
#define OKMS_TESTS_INTEGRATION_CHILD_PROCESS_H_

#include <sys/resource.h>
#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "integration/wait.h"

namespace okms::test {

struct ChildOptions {
  std::vector<std::string> argv = {};         // argv[0] is the path of the program
  std::vector<std::string> environment = {};  // "NAME=value"; the child has no other variables
  // Passed as systemd passes a socket: as descriptor 3, under this name.
  int listen_fd = -1;
  std::string listen_name = "kms";
  int status_fd = -1;  // beside that one, as descriptor 4, under the name "status"
  std::optional<rlimit> open_files = {};
  std::optional<rlimit> processes = {};      // counts all of the user's: for a `uid` of its own
  std::optional<rlimit> address_space = {};  // bytes
  int err_fd = -1;                // what it has as standard error, in place of one that we read
  std::optional<uid_t> uid = {};  // also its group; for root only
};

// Killed and reaped at the latest by the destructor, and also when the test itself dies. Its output
// is read all the time. Used by one thread.
class ChildProcess {
 public:
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(const ChildOptions& options);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;

  // The exit status, or minus the signal that ended it; nullopt when it still runs after `limit`.
  std::optional<int> Wait(std::chrono::milliseconds limit = kPatience);
  bool Running() { return !Wait(std::chrono::milliseconds(0)); }

  // What it has written so far; once Wait has answered, all of it.
  std::string Out() const { return out_.Text(); }
  std::string Err() const { return err_.Text(); }
  std::vector<std::string> ErrLines() const;

  // Whether a line with this in it comes to standard error, or has come, within `limit`.
  bool WaitForLine(const std::string& part, std::chrono::milliseconds limit = kPatience);

  // A field of /proc/PID/status, without the white space around it; empty when there is none.
  std::string ProcStatus(const std::string& field) const;

 private:
  // One stream of the child.
  class Collector {
   public:
    explicit Collector(UniqueFd fd) : fd_(std::move(fd)), thread_([this] { Read(); }) {}
    ~Collector() { Join(); }
    std::string Text() const;
    bool WaitFor(const std::string& part, std::chrono::milliseconds limit);
    // Returns at the end of the stream.
    void Join();

   private:
    void Read();

    const UniqueFd fd_;
    mutable std::mutex mutex_;  // guards the text
    std::condition_variable grown_;
    std::string text_;
    bool ended_ = false;
    std::thread thread_;
  };

  ChildProcess(pid_t pid, UniqueFd pidfd, UniqueFd out, UniqueFd err)
      : pid_(pid), pidfd_(std::move(pidfd)), out_(std::move(out)), err_(std::move(err)) {}

  const pid_t pid_;
  const UniqueFd pidfd_;
  std::optional<int> exit_status_;
  Collector out_;
  Collector err_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_INTEGRATION_CHILD_PROCESS_H_
