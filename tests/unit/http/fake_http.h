// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// HTTP without a network: the test answers each request by a function.

#ifndef OKMS_TESTS_UNIT_HTTP_FAKE_HTTP_H_
#define OKMS_TESTS_UNIT_HTTP_FAKE_HTTP_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/secret.h"
#include "http/http_client.h"

namespace okms::http::test {

inline WipedBytes Bytes(absl::string_view text) {
  const ByteView bytes = AsBytes(text);
  return {bytes.begin(), bytes.end()};
}

inline HttpResponse Response(int status, absl::string_view body = "",
                             std::string type = "application/json") {
  HttpResponse response;
  response.status = status;
  response.content_type = std::move(type);
  response.body = Bytes(body);
  return response;
}

// A request that was sent.
struct Sent {
  std::string path;
  std::optional<std::string> body;
  Clock::time_point earliest;
  Deadline deadline;
  Clock::time_point at;  // when it was handed over
};

// Outlives its client. Of one thread.
struct FakeHttp {
  std::function<absl::StatusOr<HttpResponse>(const Sent&)> handler;
  std::vector<Sent> sent;

  std::vector<std::string> paths() const {
    std::vector<std::string> paths;
    for (const Sent& one : sent) paths.push_back(one.path);
    return paths;
  }
};

// Answers within the call.
class FakeHttpClient : public HttpClient {
 public:
  explicit FakeHttpClient(FakeHttp& http) : http_(http) {}

  void Send(std::shared_ptr<const HttpRequest> request, Clock::time_point earliest,
            Deadline deadline, Done<HttpResponse> done) override {
    Sent sent{request->path, std::nullopt, earliest, deadline, Clock::now()};
    if (request->body) sent.body = std::string(AsText(*request->body));
    http_.sent.push_back(sent);
    done(http_.handler(sent));
  }

 private:
  FakeHttp& http_;
};

}  // namespace okms::http::test

#endif  // OKMS_TESTS_UNIT_HTTP_FAKE_HTTP_H_
