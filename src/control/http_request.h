// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One request of HTTP/1.1 (RFC 9112), from its bytes to those of the answer. Knows no socket.

#ifndef OKMS_CONTROL_HTTP_REQUEST_H_
#define OKMS_CONTROL_HTTP_REQUEST_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "control/http_pages.h"

namespace okms {

// GET and HEAD alone, without a body; there is one answer, after which the connection is to be
// closed: who watches comes every few seconds at most, and a connection that is kept would be one
// of few. Not thread-safe.
class HttpRequest {
 public:
  static constexpr std::size_t kMostBytes = 8192;  // of the request's head

  HttpRequest();
  ~HttpRequest();
  HttpRequest(const HttpRequest&) = delete;
  HttpRequest& operator=(const HttpRequest&) = delete;

  // Takes what has come. The answer, an error's too (400, 405, 431, and whatever `pages` says), as
  // soon as it is known, and with it the request is over; empty while more must come.
  std::string Take(absl::string_view bytes, const HttpPages& pages);

 private:
  struct Parser;

  std::unique_ptr<Parser> parser_;
  std::string unparsed_;
  std::size_t taken_ = 0;  // bytes
};

}  // namespace okms

#endif  // OKMS_CONTROL_HTTP_REQUEST_H_
