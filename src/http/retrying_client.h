// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Tries again where that may help, within the caller's deadline.

#ifndef OKMS_HTTP_RETRYING_CLIENT_H_
#define OKMS_HTTP_RETRYING_CLIENT_H_

#include <memory>
#include <utility>

#include "http/http_client.h"
#include "net/traffic.h"

namespace okms::http {

// Sends again after a transport error, 429, or 5xx except 501: those of the Go plugin's SDK. At
// most five attempts, with growing and random pauses; a KMS that says how long to wait
// (Retry-After) is given that time, up to five seconds. When the pause would not end before the
// deadline, the last answer or error is the outcome, at once. All calls of this API may be
// repeated: none changes anything in the KMS.
class RetryingClient : public HttpClient {
 public:
  // `traffic` must outlive it.
  RetryingClient(std::unique_ptr<HttpClient> client, Traffic& traffic)
      : traffic_(traffic), client_(std::move(client)) {}

  void Send(std::shared_ptr<const HttpRequest> request, Clock::time_point earliest,
            Deadline deadline, Done<HttpResponse> done) override {
    Attempt(1, std::move(request), earliest, deadline, std::move(done));
  }

 private:
  void Attempt(int number, std::shared_ptr<const HttpRequest> request, Clock::time_point earliest,
               Deadline deadline, Done<HttpResponse> done);

  Traffic& traffic_;
  const std::unique_ptr<HttpClient> client_;
};

}  // namespace okms::http

#endif  // OKMS_HTTP_RETRYING_CLIENT_H_
