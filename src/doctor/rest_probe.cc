// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/rest_probe.h"

#include <ctime>
#include <utility>

#include "base/status.h"
#include "doctor/wait_for.h"
#include "http/curl_client.h"
#include "http/proxy.h"
#include "net/https_url.h"
#include "net/traffic.h"
#include "rest/service_key.h"

namespace okms::doctor {

absl::StatusOr<RestAnswer> AskRest(const Config& config, const Server& server,
                                   std::shared_ptr<const TlsContext> tls, IoLoop& io,
                                   Deadline deadline) {
  Traffic traffic;  // for nobody
  OKMS_ASSIGN_OR_RETURN(
      const auto client,
      http::CurlClient::Create(io, std::move(tls), HttpsUrl{server.url, server.host},
                               http::ProxyFor(server.host), /*most_connections=*/1, traffic));
  const rest::ServiceKeyApi api(server.url, config.okms_id);
  auto request = std::make_shared<const http::HttpRequest>(api.List(""));
  OKMS_ASSIGN_OR_RETURN(const http::HttpResponse response,
                        WaitFor<http::HttpResponse>([&](Done<http::HttpResponse> done) {
                          client->Send(request, {}, deadline, std::move(done));
                        }));
  RestAnswer answer{response.status, rest::ServiceKeyApi::ParseList(response).status(), {}};
  if (response.date) answer.ahead = std::chrono::seconds(*response.date - std::time(nullptr));
  return answer;
}

}  // namespace okms::doctor
