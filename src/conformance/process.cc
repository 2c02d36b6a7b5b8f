// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "conformance/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "base/status.h"

namespace okms::conformance {
namespace {

constexpr std::size_t kMostOutput = 1 << 20;
constexpr std::chrono::milliseconds kTurn{5};
constexpr std::chrono::hours kLong{1};  // for what is killed

std::array<std::atomic<pid_t>, 2> running{};  // for a signal's handler

void Replace(pid_t before, pid_t after) {
  for (auto& each : running) {
    if (each.compare_exchange_strong(before, after)) return;
  }
}

void EndAll(int signal) {
  for (const auto& each : running) {
    if (each != 0) ::kill(-each, SIGKILL);
  }
  ::_exit(128 + signal);
}

// Our variables, but for those that are given anew, and these.
std::vector<std::string> Environment(const Variables& variables) {
  std::vector<std::string> all;
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string text = *each;
    if (variables.count(text.substr(0, text.find('='))) == 0) all.push_back(text);
  }
  for (const auto& [name, value] : variables) all.push_back(absl::StrCat(name, "=", value));
  return all;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

// A child in a group of its own, whose output goes to that descriptor.
absl::StatusOr<pid_t> Spawn(const std::string& command, const Variables& variables, int output) {
  std::vector<std::string> words{"sh", "-c", command};
  std::vector<std::string> environment = Environment(variables);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t child = 0;
  const int error = ::posix_spawn(&child, "/bin/sh", &actions, &attributes, Pointers(words).data(),
                                  Pointers(environment).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoStatus(absl::StatusCode::kFailedPrecondition, "sh", error);
  return child;
}

}  // namespace

void EndAllOnSignals() {
  ::signal(SIGINT, EndAll);
  ::signal(SIGTERM, EndAll);
}

absl::Status RunToEnd(const std::string& command, const Variables& variables) {
  const absl::StatusOr<pid_t> child = Spawn(command, variables, STDERR_FILENO);
  if (!child.ok()) return child.status();
  int status = 0;
  while (::waitpid(*child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("this command failed: ", command));
}

absl::Status Process::Start(const Variables& variables) {
  Kill();
  if (keeps_output_) output_ = UniqueFd(::memfd_create("output", MFD_CLOEXEC));
  const absl::StatusOr<pid_t> child = Spawn(absl::StrCat("exec ", command_), variables,
                                            keeps_output_ ? output_.get() : STDERR_FILENO);
  if (!child.ok()) return child.status();
  pid_ = *child;
  Replace(0, pid_);
  return absl::OkStatus();
}

bool Process::Running() { return pid_ != 0 && !Wait(std::chrono::milliseconds(0)); }

void Process::Signal(int signal) const {
  if (pid_ != 0) ::kill(-pid_, signal);
}

bool Process::Wait(std::chrono::milliseconds limit) {
  const Deadline deadline = Clock::now() + limit;
  while (pid_ != 0) {
    siginfo_t info{};  // it stays, so that its number is nobody else's, until its group is gone
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
    if (info.si_pid != 0) {
      ::kill(-pid_, SIGKILL);
      Replace(pid_, 0);
      ::waitpid(pid_, nullptr, 0);
      pid_ = 0;
      end_ = absl::StrCat(info.si_code == CLD_EXITED ? "exit status " : "signal ", info.si_status);
    } else if (Expired(deadline)) {
      return false;
    } else {
      std::this_thread::sleep_for(kTurn);
    }
  }
  return true;
}

void Process::Kill() {
  Signal(SIGKILL);
  Wait(kLong);
}

std::string Process::Output() const {
  std::string text(kMostOutput, '\0');
  const ssize_t size = ::pread(output_.get(), text.data(), text.size(), 0);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return text;
}

}  // namespace okms::conformance
