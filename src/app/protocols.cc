// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/protocols.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "base/status.h"
#include "base/uuid.h"
#include "config/config.h"
#include "core/backend.h"
#include "http/curl_client.h"
#include "http/libcurl.h"
#include "http/proxy.h"
#include "http/retrying_client.h"
#include "kmip/kmip_backend.h"
#include "net/https_url.h"
#include "net/tls_connector.h"
#include "rest/rest_backend.h"
#include "rest/service_key.h"

namespace okms {
namespace {

using Hosts = absl::StatusOr<std::vector<HostPort>>;
using Made = absl::StatusOr<std::unique_ptr<Backend>>;
using Tls = std::shared_ptr<const TlsContext>;

std::size_t MostConnections(const Config& config, std::size_t by_default) {
  return config.max_connections > 0 ? config.max_connections : by_default;
}

// ---- KMIP

absl::StatusOr<HostPort> ParseKmipServer(const RawFlags& raw) {
  OKMS_RETURN_IF_ERROR(
      Required(raw.server, "--serv-addr", "OKMS_SERV_ADDR", "the KMS as host:port"));
  auto server = ParseHostPort(raw.server);
  if (!server.ok()) return Annotate(server.status(), "--serv-addr");
  return server;
}

void ParseKmip(const RawFlags& raw, Config& config, Mistakes& mistakes) {
  mistakes.Take(config.server, ParseKmipServer(raw));
  config.tls.only_ca = true;  // --ca takes the place of the system's roots
}

Hosts KmipHosts(const Config& config) { return std::vector{config.server}; }

Made MakeKmip(const Config& config, Tls tls, IoLoop& io) {
  return std::make_unique<kmip::KmipBackend>(
      io, std::make_unique<TlsConnector>(io, config.server, std::move(tls)),
      MostConnections(config, kmip::KmipBackend::kMostSessions));
}

// ---- REST

// Of HTTP/1.1. A check that hangs must not keep the next one waiting, nor what is encrypted, which
// is verified there.
constexpr std::size_t kConnectionsForChecks = 16;

absl::StatusOr<HttpsUrl> ParseRestServer(const RawFlags& raw) {
  OKMS_RETURN_IF_ERROR(
      Required(raw.server, "--serv-addr", "OKMS_SERV_ADDR", "the KMS as https://host"));
  auto url = ParseHttpsUrl(raw.server);
  if (!url.ok()) return Annotate(url.status(), "--serv-addr");
  return url;
}

absl::StatusOr<std::string> ParseOkmsId(const RawFlags& raw) {
  OKMS_RETURN_IF_ERROR(
      Required(raw.okms_id, "--okms-id", "OKMS_ID", "the UUID of the OKMS domain"));
  if (const std::optional<std::string> id = ParseUuid(raw.okms_id)) return *id;
  return Bad("--okms-id ", Printable(raw.okms_id), ": no UUID; give the id of the OKMS domain");
}

void ParseRest(const RawFlags& raw, Config& config, Mistakes& mistakes) {
  HttpsUrl url;
  mistakes.Take(url, ParseRestServer(raw));
  config.server = std::move(url.server);
  config.rest_url = std::move(url.text);
  config.tls.only_ca = false;  // --ca counts beside them, unless --ca-only
  mistakes.Take(config.okms_id, ParseOkmsId(raw));
  if (raw.key_label.empty() && !raw.key_id.empty() && !ParseUuid(raw.key_id)) {
    mistakes.Add("--encryption-key-id ", Printable(raw.key_id),
                 ": no UUID, as the REST API has; give the id of a service key");
  }
}

Hosts RestHosts(const Config& config) {
  OKMS_RETURN_IF_ERROR(http::LoadLibCurl());
  std::vector<HostPort> hosts{config.server};
  const std::optional<http::Proxy> proxy = http::ProxyFor(config.server);
  if (proxy && proxy->server) hosts.push_back(*proxy->server);
  return hosts;
}

Made MakeRest(const Config& config, Tls tls, IoLoop& io) {
  const HttpsUrl url{config.rest_url, config.server};
  const std::optional<http::Proxy> proxy = http::ProxyFor(config.server);
  const std::size_t most = MostConnections(config, http::CurlClient::kMostConnections);
  const std::size_t for_checks = std::min(most, kConnectionsForChecks);
  OKMS_ASSIGN_OR_RETURN(auto calls, http::CurlClient::Create(io, tls, url, proxy, most));
  OKMS_ASSIGN_OR_RETURN(auto checks, http::CurlClient::Create(io, tls, url, proxy, for_checks));
  return std::make_unique<rest::RestBackend>(
      std::make_unique<http::RetryingClient>(std::move(calls)),
      std::make_unique<http::RetryingClient>(std::move(checks)),
      rest::ServiceKeyApi(config.rest_url, config.okms_id));
}

constexpr Protocol kProtocols[] = {
    {"kmip", ParseKmip, KmipHosts, MakeKmip},
    {"rest", ParseRest, RestHosts, MakeRest, /*keys_are_uuids=*/true},
};

}  // namespace

std::span<const Protocol> Protocols() { return kProtocols; }

}  // namespace okms
