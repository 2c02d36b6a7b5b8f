// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A connection of somebody who asks for a page: one request, one answer.

#ifndef OKMS_CONTROL_STATUS_CONNECTION_H_
#define OKMS_CONTROL_STATUS_CONNECTION_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "base/deadline.h"
#include "base/unique_fd.h"
#include "control/http_pages.h"
#include "control/http_request.h"

namespace okms {

// Nothing blocks. For one thread.
class StatusConnection {
 public:
  // For the whole request, and again for the peer to take the answer.
  static constexpr std::chrono::seconds kPatience{5};

  // A connected stream socket; closed at the end. `pages` must outlive it.
  StatusConnection(UniqueFd socket, const HttpPages& pages)
      : socket_(std::move(socket)), pages_(pages) {}

  // Reads, answers and writes as far as that goes at once; call it first of all, and whenever the
  // socket has one of wanted(). Whether there is more to come; if not, close it.
  bool Move();

  int fd() const { return socket_.get(); }
  uint32_t wanted() const;  // EPOLLIN or EPOLLOUT
  Deadline deadline() const { return deadline_; }
  Deadline since() const { return since_; }
  // All has been sent, and only the peer's end is waited for.
  bool answered() const { return sent_ > 0 && sent_ == answer_.size(); }

 private:
  bool Read();
  bool Write();
  bool Discard();

  const UniqueFd socket_;
  const HttpPages& pages_;
  const Deadline since_ = Clock::now();
  Deadline deadline_ = since_ + kPatience;
  HttpRequest request_;
  std::string answer_;  // empty before there is one
  std::size_t sent_ = 0;
  std::size_t discarded_ = 0;
};

}  // namespace okms

#endif  // OKMS_CONTROL_STATUS_CONNECTION_H_
