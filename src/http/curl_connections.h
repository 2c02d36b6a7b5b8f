// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The connections that libcurl has open.

#ifndef OKMS_HTTP_CURL_CONNECTIONS_H_
#define OKMS_HTTP_CURL_CONNECTIONS_H_

#include <map>

#include "base/deadline.h"
#include "http/libcurl.h"

namespace okms::http {

// Of the thread that drives libcurl. Must outlive its connections.
class CurlConnections {
 public:
  // For CURLOPT_SOCKOPTFUNCTION and CURLOPT_CLOSESOCKETFUNCTION; their data is the object.
  static int Opened(void* self, curl_socket_t fd, curlsocktype);
  static int Close(void* self, curl_socket_t fd);

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
  std::map<curl_socket_t, Clock::time_point> open_;  // and when an answer last came
  curl_socket_t corked_ = CURL_SOCKET_BAD;
};

}  // namespace okms::http

#endif  // OKMS_HTTP_CURL_CONNECTIONS_H_
