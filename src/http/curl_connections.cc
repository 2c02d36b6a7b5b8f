// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/curl_connections.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
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
  static_cast<CurlConnections*>(self)->open_[fd] = {};
  return CURL_SOCKOPT_OK;
}

int CurlConnections::Close(void* self, curl_socket_t fd) {
  Debug([fd] { return absl::StrCat(PeerOf(fd), ": connection closed"); });
  auto* connections = static_cast<CurlConnections*>(self);
  connections->open_.erase(fd);
  if (connections->corked_ == fd) connections->corked_ = CURL_SOCKET_BAD;
  return ::close(fd);
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
  if (found != open_.end()) found->second = Clock::now();
}

void CurlConnections::CloseIfSilent(CURL* easy, Clock::time_point since) {
  const auto found = open_.find(SocketOf(easy));
  if (found == open_.end() || found->second >= since) return;
  Debug([found] { return absl::StrCat(PeerOf(found->first), ": silent, given up"); });
  ::shutdown(found->first, SHUT_RDWR);
}

}  // namespace okms::http
