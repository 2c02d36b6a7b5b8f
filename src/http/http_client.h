// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What a protocol over HTTP needs of it.

#ifndef OKMS_HTTP_HTTP_CLIENT_H_
#define OKMS_HTTP_HTTP_CLIENT_H_

#include <chrono>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/done.h"
#include "base/secret.h"

namespace okms::http {

// GET, or, with a body, POST of JSON.
struct HttpRequest {
  std::string path;  // with the query; it follows the client's URL
  std::optional<WipedBytes> body;
  // Whether it, or its answer, carries a secret: then nothing of it may stay with the connection.
  bool secret = false;
  std::vector<std::string> headers = {};  // "Name: value", beside those that all requests have
};

struct HttpResponse {
  int status = 0;
  std::string content_type;
  std::string content_encoding;
  std::string location;
  std::optional<std::chrono::seconds> retry_after;  // RFC 9110 section 10.2.3, both forms
  std::optional<std::time_t> date;                  // what the server's clock said (section 6.6.1)
  WipedBytes body;
};

// Thread-safe; no call blocks. None may be made any more once the destructor has begun, but from
// the callbacks that it calls.
class HttpClient {
 public:
  virtual ~HttpClient() = default;

  // Sends the request, at `earliest` if that is still to come. `done`, which is called in the turn
  // of the I/O loop, or by the caller's thread before this returns, and must not block, gets the
  // answer, whatever its status code says; redirects are not followed. Errors: kUnavailable
  // (another attempt may succeed), kDeadlineExceeded, kUnauthenticated (one of the certificates is
  // refused), kDataLoss (an answer beyond the size limit), kResourceExhausted (too much is under
  // way), kCancelled (the client ends), kFailedPrecondition.
  virtual void Send(std::shared_ptr<const HttpRequest> request, Clock::time_point earliest,
                    Deadline deadline, Done<HttpResponse> done) = 0;
};

}  // namespace okms::http

#endif  // OKMS_HTTP_HTTP_CLIENT_H_
