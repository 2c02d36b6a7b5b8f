// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What must happen in a process of its own: other users, passed descriptors, limits.

#ifndef OKMS_TESTS_UNIT_SERVICE_CHILD_H_
#define OKMS_TESTS_UNIT_SERVICE_CHILD_H_

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "base/unique_fd.h"

namespace okms::test {

// A child process that says something and ends. Fork only while this process has one thread.
class Child {
 public:
  using Say = std::function<void(const std::string&)>;

  explicit Child(const std::function<void(const Say&)>& body) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    from_child_ = UniqueFd(ends[0]);
    UniqueFd to_parent(ends[1]);
    pid_ = ::fork();
    EXPECT_GE(pid_, 0);
    if (pid_ != 0) return;
    // Out of the way of the descriptors that a test hands over.
    const int out = ::fcntl(to_parent.get(), F_DUPFD_CLOEXEC, 100);
    to_parent.reset();
    body([out](const std::string& text) {
      if (::write(out, text.data(), text.size()) < 0) ::_exit(9);
    });
    ::_exit(testing::Test::HasFailure() ? kExpectationFailed : 0);
  }
  ~Child() {
    if (pid_ > 0) End();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }

  // Waits for the next thing it says; empty when it says no more.
  std::string Hear() {
    char buffer[4096];
    const ssize_t size = ::read(from_child_.get(), buffer, sizeof buffer);
    return size > 0 ? std::string(buffer, static_cast<std::size_t>(size)) : std::string();
  }
  // All that it still says, and its end, which must be an orderly one.
  std::string HearAll() {
    std::string all;
    for (std::string more = Hear(); !more.empty(); more = Hear()) all += more;
    const int status = End();
    EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    EXPECT_TRUE(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == kExpectationFailed)
        << "status " << WEXITSTATUS(status);
    return all;
  }

 private:
  static constexpr int kExpectationFailed = 8;

  int End() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == kExpectationFailed) {
      ADD_FAILURE() << "an expectation failed in the child";
    }
    pid_ = -1;
    return status;
  }

  UniqueFd from_child_;
  pid_t pid_ = -1;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_UNIT_SERVICE_CHILD_H_
