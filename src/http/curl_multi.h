// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// libcurl's multi handle, driven by the I/O loop.

#ifndef OKMS_HTTP_CURL_MULTI_H_
#define OKMS_HTTP_CURL_MULTI_H_

#include <functional>
#include <optional>
#include <utility>

#include "http/curl_connections.h"
#include "http/curl_handles.h"
#include "http/libcurl.h"
#include "net/io_loop.h"

namespace okms::http {

// Of the loop's turn. What was added to it is removed before its end.
class CurlMulti {
 public:
  // `most_connections`: of HTTP/1.1, where each carries one call at a time; at least one.
  // `worked` is called in the turn in which libcurl has done something, when it can be called
  // again.
  CurlMulti(IoLoop& loop, std::size_t most_connections, Traffic& traffic,
            std::function<void()> worked);
  ~CurlMulti() { Close(); }
  CurlMulti(const CurlMulti&) = delete;
  CurlMulti& operator=(const CurlMulti&) = delete;

  // Begins, and begins anew: all connections are closed. Only while there is no transfer. False,
  // and nothing changes, when libcurl has no memory.
  bool Open();
  // The end: nothing is called any more.
  void Close();

  // The transfer begins soon, together with others that are added in this turn.
  bool Add(CURL* easy) { return Curl().multi_add_handle(multi_.get(), easy) == CURLM_OK; }
  void Remove(CURL* easy) { Curl().multi_remove_handle(multi_.get(), easy); }
  // A transfer that has ended; to be removed.
  std::optional<std::pair<CURL*, CURLcode>> NextEnded();

  CurlConnections& connections() { return connections_; }

 private:
  static int OnSocket(CURL*, curl_socket_t fd, int what, void* self, void*);
  static int OnTimer(CURLM*, long milliseconds, void* self);

  // In this turn.
  void RoundSoon();
  void Round();
  void Act(curl_socket_t fd, int events);

  IoLoop& loop_;
  const long most_connections_;
  const std::function<void()> worked_;
  CurlConnections connections_;
  bool closed_ = false;
  bool due_ = false;     // there is something to do at once
  bool posted_ = false;  // a round
  IoLoop::Timer timer_;
  MultiPtr multi_;  // last: its end closes connections
};

}  // namespace okms::http

#endif  // OKMS_HTTP_CURL_MULTI_H_
