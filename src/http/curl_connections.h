// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The connections that libcurl has open.

#ifndef OKMS_HTTP_CURL_CONNECTIONS_H_
#define OKMS_HTTP_CURL_CONNECTIONS_H_

#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "base/deadline.h"
#include "http/libcurl.h"
#include "net/io_loop.h"
#include "net/traffic.h"

namespace okms::http {

// Of the loop's turn. Must outlive its connections.
class CurlConnections {
 public:
  // `ready` is called when a connection has what libcurl waits for (CURL_CSELECT_IN and _OUT).
  using Ready = std::function<void(curl_socket_t fd, int events)>;

  CurlConnections(IoLoop& loop, Traffic& traffic, Ready ready)
      : loop_(loop), traffic_(traffic), ready_(std::move(ready)) {}

  // For CURLOPT_SOCKOPTFUNCTION and CURLOPT_CLOSESOCKETFUNCTION; their data is the object.
  static int Opened(void* self, curl_socket_t fd, curlsocktype);
  static int Close(void* self, curl_socket_t fd);

  // What libcurl waits for on a connection, as CURLMOPT_SOCKETFUNCTION is told: CURL_POLL_IN ...
  void Await(curl_socket_t fd, int what);

  // What is written between the two leaves together. On a connection that all calls share (HTTP/2),
  // libcurl writes each request's head and body by a call of its own, and each would be a packet.
  void Cork();
  void Uncork();

  // An answer came, on the connection that this handle used.
  void Heard(CURL* easy);
  // A call that began at `since` got no answer. A connection of HTTP/2 outlives it, and would
  // swallow the next ones too. When nothing at all came on it since, it counts as dead; other calls
  // that wait on it go on by another one.
  void CloseIfSilent(CURL* easy, Clock::time_point since);

 private:
  struct Connection {
    Clock::time_point heard;  // when an answer last came
    int awaited = 0;          // CURL_POLL_IN ..., 0 between two calls
    std::optional<IoLoop::Watch> watch;
  };

  void OnReady(curl_socket_t fd, short events);

  IoLoop& loop_;
  Traffic& traffic_;
  const Ready ready_;
  std::map<curl_socket_t, Connection> open_;
  curl_socket_t corked_ = CURL_SOCKET_BAD;
};

}  // namespace okms::http

#endif  // OKMS_HTTP_CURL_CONNECTIONS_H_
