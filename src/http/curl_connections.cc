// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/curl_connections.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/debug.h"
#include "net/address.h"
#include "net/tcp.h"

namespace okms::http {
namespace {

void SetCork(curl_socket_t fd, int value) {
  ::setsockopt(fd, IPPROTO_TCP, TCP_CORK, &value, sizeof value);
}

curl_socket_t SocketOf(CURL* easy) {
  curl_socket_t socket = CURL_SOCKET_BAD;
  Curl().easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &socket);
  return socket;
}

}  // namespace

int CurlConnections::Opened(void* self, curl_socket_t fd, curlsocktype) {
  TuneConnection(fd);
  auto* connections = static_cast<CurlConnections*>(self);
  connections->open_[fd] = Connection();
  connections->traffic_.dials.Add();
  connections->traffic_.connections.Add(1);
  return CURL_SOCKOPT_OK;
}

int CurlConnections::Close(void* self, curl_socket_t fd) {
  Debug([fd] { return absl::StrCat(PeerOf(fd), ": connection closed"); });
  auto* connections = static_cast<CurlConnections*>(self);
  // With its watch: not all releases of libcurl tell before that they wait for nothing any more.
  if (connections->open_.erase(fd) > 0) connections->traffic_.connections.Add(-1);
  if (connections->corked_ == fd) connections->corked_ = CURL_SOCKET_BAD;
  return ::close(fd);
}

void CurlConnections::Await(curl_socket_t fd, int what) {
  const auto found = open_.find(fd);
  if (found == open_.end()) return;
  Connection& connection = found->second;
  connection.awaited = what == CURL_POLL_REMOVE ? 0 : what;
  // It stays watched for what it was: most often the next call waits for the same.
  if (connection.awaited == 0) return;
  const int events = ((what & CURL_POLL_IN) != 0 ? POLLIN : 0) |  //
                     ((what & CURL_POLL_OUT) != 0 ? POLLOUT : 0);
  if (connection.watch) {
    connection.watch->Set(static_cast<short>(events));
    return;
  }
  auto watch = loop_.OnReady(fd, static_cast<short>(events),
                             [this, fd](short ready) { OnReady(fd, ready); });
  // On one that cannot be watched calls end with their time.
  if (watch.ok()) connection.watch = *std::move(watch);
}

void CurlConnections::OnReady(curl_socket_t fd, short events) {
  Connection& connection = open_.find(fd)->second;
  if (connection.awaited == 0) {
    // Between two calls, so it is the end most likely; the next one finds out.
    connection.watch.reset();
    return;
  }
  // As libcurl takes what poll(2) tells: an error is read.
  ready_(fd, ((events & (POLLIN | POLLERR | POLLHUP)) != 0 ? CURL_CSELECT_IN : 0) |
                 ((events & POLLOUT) != 0 ? CURL_CSELECT_OUT : 0));
}

void CurlConnections::Cork() {
  if (open_.size() != 1) return;
  corked_ = open_.begin()->first;
  SetCork(corked_, 1);
}

void CurlConnections::Uncork() {
  const curl_socket_t fd = std::exchange(corked_, CURL_SOCKET_BAD);
  if (fd != CURL_SOCKET_BAD) SetCork(fd, 0);
}

void CurlConnections::Heard(CURL* easy) {
  const auto found = open_.find(SocketOf(easy));
  if (found != open_.end()) found->second.heard = Clock::now();
}

void CurlConnections::CloseIfSilent(CURL* easy, Clock::time_point since) {
  const auto found = open_.find(SocketOf(easy));
  if (found == open_.end() || found->second.heard >= since) return;
  Debug([found] { return absl::StrCat(PeerOf(found->first), ": silent, given up"); });
  ::shutdown(found->first, SHUT_RDWR);
}

}  // namespace okms::http
