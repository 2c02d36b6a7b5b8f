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
#include "net/https_url.h"
#include "net/io_loop.h"
#include "net/tls_context.h"
#include "net/traffic.h"

namespace okms::http {

class CurlCalls;

// All transfers to one server, in the turn of the I/O loop: many streams of one HTTP/2 connection,
// or, with a server of HTTP/1.1 only, several connections. Connections are kept for reuse; one
// that is found dead costs no error, and one whose server fell silent is not used again. Those that
// carried a secret are closed half a second after the last one: libcurl's buffers for HTTP/2 keep
// what came. Names are looked up beside the transfers; while the name server is away, the last good
// answer serves.
class CurlClient : public HttpClient {
 public:
  static constexpr std::size_t kMostConnections = 32;  // unless somebody says otherwise

  // All requests go to `base`, through `proxy` if there is one. Both references must outlive it.
  // When this is the first to use libcurl, there must be no other threads. For tests:
  // `name_servers` as Lookup takes them. Errors: kFailedPrecondition (this libcurl cannot be used).
  static absl::StatusOr<std::unique_ptr<CurlClient>> Create(
      IoLoop& loop, std::shared_ptr<const TlsContext> tls, HttpsUrl base,
      std::optional<Proxy> proxy, std::size_t most_connections, Traffic& traffic,
      const std::string& name_servers = "");
  // What is under way ends with kCancelled. Waits for the turn; not in it.
  ~CurlClient() override;

  void Send(std::shared_ptr<const HttpRequest> request, Clock::time_point earliest,
            Deadline deadline, Done<HttpResponse> done) override;

 private:
  CurlClient(IoLoop& loop, std::unique_ptr<CurlCalls> calls);

  IoLoop& loop_;
  const std::unique_ptr<CurlCalls, DeleteInTurn<CurlCalls>> calls_;  // of the turn
};

}  // namespace okms::http

#endif  // OKMS_HTTP_CURL_CLIENT_H_
