// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/status_connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "absl/strings/string_view.h"

namespace okms {
namespace {

// What is read and thrown away after the answer: bodies, requests in a row.
constexpr std::size_t kMostDiscarded = 64 * 1024;  // bytes

bool NotYet() { return errno == EAGAIN || errno == EINTR; }

}  // namespace

uint32_t StatusConnection::wanted() const {
  return answer_.empty() || answered() ? EPOLLIN : EPOLLOUT;
}

bool StatusConnection::Move() {
  if (answer_.empty()) {
    if (!Read()) return false;
    if (answer_.empty()) return true;
    deadline_ = Clock::now() + kPatience;
  }
  return answered() ? Discard() : Write();
}

bool StatusConnection::Read() {
  std::array<char, 4096> bytes;
  while (answer_.empty()) {
    const ssize_t got = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got < 0) return NotYet();
    if (got == 0) return false;
    answer_ = request_.Take({bytes.data(), static_cast<std::size_t>(got)}, pages_);
  }
  return true;
}

bool StatusConnection::Write() {
  while (!answered()) {
    const absl::string_view rest = absl::string_view(answer_).substr(sent_);
    const ssize_t put =
        ::send(socket_.get(), rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0) return NotYet();
    sent_ += static_cast<std::size_t>(put);
  }
  // To close while bytes of the peer are unread would reset the connection, and could take the
  // answer from it (RFC 9112 section 9.6): it closes first.
  ::shutdown(socket_.get(), SHUT_WR);
  return Discard();
}

bool StatusConnection::Discard() {
  std::array<char, 4096> bytes;
  while (discarded_ < kMostDiscarded) {
    const ssize_t got = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got < 0) return NotYet();
    if (got == 0) return false;
    discarded_ += static_cast<std::size_t>(got);
  }
  return false;
}

}  // namespace okms
