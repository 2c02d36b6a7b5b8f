// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// HTTP by libcurl.

#ifndef OKMS_HTTP_CURL_CLIENT_H_
#define OKMS_HTTP_CURL_CLIENT_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "http/http_client.h"
#include "http/proxy.h"
#include "net/host_port.h"
#include "net/tls_context.h"

namespace okms::http {

// One thread drives all transfers to one server: many streams of one HTTP/2 connection, or, with a
// server of HTTP/1.1 only, up to 32 connections. Connections are kept for reuse; one that is found
// dead costs no error, and one whose server fell silent is not used again. Those that carried a
// secret are closed half a second after the last one: libcurl's buffers for HTTP/2 keep what came.
// Names are looked up on that thread, beside the transfers; while the name server is away, the last
// good answer serves. `done` is called on that thread, or, with kResourceExhausted, on the
// caller's.
class CurlClient : public HttpClient {
 public:
  // `server` is who all requests go to, through `proxy` if there is one. Must be called before
  // there are other threads. For tests: `name_servers` as Lookup takes them. Errors:
  // kFailedPrecondition (this libcurl cannot be used).
  static absl::StatusOr<std::unique_ptr<CurlClient>> Create(std::shared_ptr<const TlsContext> tls,
                                                            HostPort server,
                                                            std::optional<Proxy> proxy,
                                                            const std::string& name_servers = "");
  // What is under way ends with kCancelled.
  ~CurlClient() override;

  void Send(std::shared_ptr<const HttpRequest> request, Clock::time_point earliest,
            Deadline deadline, Done<HttpResponse> done) override;

 private:
  class Loop;
  explicit CurlClient(std::unique_ptr<Loop> loop);

  const std::unique_ptr<Loop> loop_;
};

}  // namespace okms::http

#endif  // OKMS_HTTP_CURL_CLIENT_H_
