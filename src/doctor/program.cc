// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/await.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace okms::doctor {
namespace {

constexpr std::size_t kMost = std::size_t{1} << 20U;
constexpr std::chrono::seconds kPatience{10};

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Ours, in English.
std::vector<std::string> Environment() {
  std::vector<std::string> variables{"LC_ALL=C"};
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (!absl::StartsWith(*entry, "LC_ALL=")) variables.emplace_back(*entry);
  }
  return variables;
}

absl::StatusOr<pid_t> Start(const std::vector<std::string>& command, int output) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  const std::vector<std::string> environment = Environment();
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, command[0].c_str(), &actions, nullptr,
                                   Pointers(command).data(), Pointers(environment).data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoStatus(absl::StatusCode::kNotFound, command[0], error);
  return child;
}

// Up to its end.
absl::Status ReadAll(int from, std::size_t most, Deadline deadline, std::string& output) {
  std::array<char, 4096> buffer{};
  while (output.size() < most) {
    OKMS_RETURN_IF_ERROR(Await(from, POLLIN, deadline));
    const ssize_t size = ::read(from, buffer.data(), std::min(buffer.size(), most - output.size()));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return ErrnoStatus(absl::StatusCode::kUnavailable, "read", errno);
    if (size == 0) return absl::OkStatus();
    output.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return absl::OutOfRangeError("says too much");
}

}  // namespace

absl::StatusOr<Ended> RunProgram(const std::vector<std::string>& command, std::size_t most,
                                 Deadline deadline) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return ErrnoStatus(absl::StatusCode::kUnavailable, "pipe", errno);
  }
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  OKMS_ASSIGN_OR_RETURN(const pid_t child, Start(command, writing.get()));
  writing.reset();
  Ended ended{};
  const absl::Status read = ReadAll(reading.get(), most, deadline, ended.output);
  if (!read.ok()) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ended.well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (read.ok() || absl::IsOutOfRange(read)) return ended;
  return absl::UnavailableError(absl::StrCat(command[0], ": ", read.message()));
}

absl::StatusOr<std::string> OutputOf(const std::vector<std::string>& command) {
  OKMS_ASSIGN_OR_RETURN(Ended ended, RunProgram(command, kMost, Clock::now() + kPatience));
  if (ended.well) return std::move(ended.output);
  const absl::string_view words = absl::StripAsciiWhitespace(ended.output);
  return absl::UnavailableError(
      absl::StrCat(command[0], ": ", Printable(words.substr(0, words.find('\n')))));
}

}  // namespace okms::doctor
