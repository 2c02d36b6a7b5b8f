// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "unit/sandbox/child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <exception>

#include "base/unique_fd.h"

namespace okms::test {
namespace {

constexpr unsigned kPatienceSeconds = 60;

[[noreturn]] void BeTheChild(int out, const std::function<void()>& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::alarm(kPatienceSeconds);  // a filter of system calls that is in the way must not hang the test
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  try {
    body();
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
  std::fflush(stdout);
  ::_exit(testing::Test::HasFailure() ? 1 : 0);
}

}  // namespace

Ended RunInChild(const std::function<void()>& body) {
  std::fflush(nullptr);  // or both would write it
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd from_child(ends[0]);
  UniqueFd to_parent(ends[1]);
  const pid_t pid = ::fork();
  EXPECT_GE(pid, 0);
  if (pid == 0) BeTheChild(to_parent.get(), body);
  to_parent.reset();

  Ended ended;
  std::array<char, 4096> buffer{};
  ssize_t size = 0;
  while ((size = ::read(from_child.get(), buffer.data(), buffer.size())) > 0) {
    ended.said.append(buffer.data(), static_cast<std::size_t>(size));
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  ended.status = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  return ended;
}

void ExpectInChild(const std::function<void()>& body) {
  const Ended ended = RunInChild(body);
  EXPECT_EQ(ended.status, 0) << ended.said;
}

bool IsWithoutNewPrivileges() { return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1; }

}  // namespace okms::test
