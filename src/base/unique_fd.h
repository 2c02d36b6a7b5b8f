// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// An owned file descriptor.

#ifndef OKMS_BASE_UNIQUE_FD_H_
#define OKMS_BASE_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace okms {

// Closes the descriptor when it goes out of scope. Not thread-safe.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    // Linux closes the descriptor even when close(2) reports an error: never try again.
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace okms

#endif  // OKMS_BASE_UNIQUE_FD_H_
