// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/protocols.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "app/server_counters.h"
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

constexpr std::size_t kMostServers = 16;

std::size_t MostConnections(const Config& config, std::size_t by_default) {
  return config.max_connections > 0 ? config.max_connections : by_default;
}

// A host has nothing to gain from being there twice, and most likely another one was meant.
absl::Status CheckServers(const std::vector<Server>& servers) {
  std::set<std::string> names;
  for (const Server& server : servers) {
    if (!names.insert(absl::AsciiStrToLower(server.host.ToString())).second) {
      return Bad("--serv-addr ", server.Name(), ": is given twice; name each host once");
    }
  }
  if (servers.size() <= kMostServers) return absl::OkStatus();
  return Bad("--serv-addr names ", servers.size(), " hosts; at most ", kMostServers,
             " are possible");
}

void ParseServers(const RawFlags& raw, absl::string_view what,
                  absl::StatusOr<Server> (*parse)(const std::string&), Config& config,
                  Mistakes& mistakes) {
  if (raw.servers.empty()) mistakes.AddIfError(Required("", "--serv-addr", "OKMS_SERV_ADDR", what));
  for (const std::string& text : raw.servers) {
    const auto server = parse(text);
    mistakes.AddIfError(Annotate(server.status(), "--serv-addr"));
    if (server.ok()) config.servers.push_back(*server);
  }
  mistakes.AddIfError(CheckServers(config.servers));
}

// ---- KMIP

absl::StatusOr<Server> ParseKmipServer(const std::string& text) {
  OKMS_ASSIGN_OR_RETURN(HostPort host, ParseHostPort(text));
  return Server{std::move(host), ""};
}

void ParseKmip(const RawFlags& raw, Config& config, Mistakes& mistakes) {
  ParseServers(raw, "the KMS as host:port", ParseKmipServer, config, mistakes);
  config.tls.only_ca = true;  // --ca takes the place of the system's roots
}

Hosts KmipHosts(const Config&, const Server& server) { return std::vector{server.host}; }

Made MakeKmip(const Config& config, const Server& server, Tls tls, ServerCounters& counters,
              IoLoop& io) {
  return std::make_unique<kmip::KmipBackend>(
      io, std::make_unique<TlsConnector>(io, server.host, std::move(tls), counters.traffic),
      counters.kmip, MostConnections(config, kmip::KmipBackend::kMostSessions));
}

// ---- REST

// Of HTTP/1.1. A check that hangs must not keep the next one waiting, nor what is encrypted, which
// is verified there.
constexpr std::size_t kConnectionsForChecks = 16;

absl::StatusOr<Server> ParseRestServer(const std::string& text) {
  OKMS_ASSIGN_OR_RETURN(HttpsUrl url, ParseHttpsUrl(text));
  return Server{std::move(url.server), std::move(url.text)};
}

absl::StatusOr<std::string> ParseOkmsId(const RawFlags& raw) {
  OKMS_RETURN_IF_ERROR(
      Required(raw.okms_id, "--okms-id", "OKMS_ID", "the UUID of the OKMS domain"));
  if (const std::optional<std::string> id = ParseUuid(raw.okms_id)) return *id;
  return Bad("--okms-id ", Printable(raw.okms_id), ": no UUID; give the id of the OKMS domain");
}

void ParseRest(const RawFlags& raw, Config& config, Mistakes& mistakes) {
  ParseServers(raw, "the KMS as https://host", ParseRestServer, config, mistakes);
  config.tls.only_ca = false;  // --ca counts beside them, unless --ca-only
  mistakes.Take(config.okms_id, ParseOkmsId(raw));
  if (raw.key_label.empty() && !raw.key_id.empty() && !ParseUuid(raw.key_id)) {
    mistakes.Add("--encryption-key-id ", Printable(raw.key_id),
                 ": no UUID, as the REST API has; give the id of a service key");
  }
}

Hosts RestHosts(const Config&, const Server& server) {
  OKMS_RETURN_IF_ERROR(http::LoadLibCurl());
  std::vector<HostPort> hosts{server.host};
  const std::optional<http::Proxy> proxy = http::ProxyFor(server.host);
  if (proxy && proxy->server) hosts.push_back(*proxy->server);
  return hosts;
}

Made MakeRest(const Config& config, const Server& server, Tls tls, ServerCounters& counters,
              IoLoop& io) {
  Traffic& traffic = counters.traffic;
  const HttpsUrl url{server.url, server.host};
  const std::optional<http::Proxy> proxy = http::ProxyFor(server.host);
  const std::size_t most = MostConnections(config, http::CurlClient::kMostConnections);
  const std::size_t for_checks = std::min(most, kConnectionsForChecks);
  OKMS_ASSIGN_OR_RETURN(auto calls, http::CurlClient::Create(io, tls, url, proxy, most, traffic));
  OKMS_ASSIGN_OR_RETURN(auto checks,
                        http::CurlClient::Create(io, tls, url, proxy, for_checks, traffic));
  return std::make_unique<rest::RestBackend>(
      std::make_unique<http::RetryingClient>(std::move(calls), traffic),
      std::make_unique<http::RetryingClient>(std::move(checks), traffic),
      rest::ServiceKeyApi(server.url, config.okms_id));
}

constexpr Protocol kProtocols[] = {
    {"kmip", ParseKmip, KmipHosts, MakeKmip},
    {"rest", ParseRest, RestHosts, MakeRest, /*keys_are_uuids=*/true},
};

}  // namespace

std::span<const Protocol> Protocols() { return kProtocols; }

}  // namespace okms
