// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/kms.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/status.h"
#include "core/annotated_backend.h"
#include "core/shared_decrypts.h"
#include "http/curl_client.h"
#include "http/libcurl.h"
#include "http/proxy.h"
#include "http/retrying_client.h"
#include "kmip/kmip_backend.h"
#include "net/address.h"
#include "net/host_port.h"
#include "net/https_url.h"
#include "net/lookup.h"
#include "net/tls_connector.h"
#include "net/tls_context.h"
#include "rest/rest_backend.h"
#include "rest/service_key.h"

namespace okms {
namespace {

constexpr uint16_t kDnsPort = 53;  // over TCP: for answers that do not fit a datagram

absl::StatusOr<std::unique_ptr<Backend>> ProtocolOf(const Config& config,
                                                    std::shared_ptr<const TlsContext> tls,
                                                    IoLoop& io) {
  if (config.protocol == Protocol::kKmip) {
    return std::make_unique<kmip::KmipBackend>(
        io, std::make_unique<TlsConnector>(io, config.server, std::move(tls)),
        config.max_connections);
  }
  const HttpsUrl url{config.rest_url, config.server};
  const std::optional<http::Proxy> proxy = http::ProxyFor(config.server);
  OKMS_ASSIGN_OR_RETURN(auto calls, http::CurlClient::Create(io, tls, url, proxy));
  OKMS_ASSIGN_OR_RETURN(auto checks, http::CurlClient::Create(io, tls, url, proxy));
  return std::make_unique<rest::RestBackend>(
      std::make_unique<http::RetryingClient>(std::move(calls)),
      std::make_unique<http::RetryingClient>(std::move(checks)),
      rest::ServiceKeyApi(config.rest_url, config.okms_id));
}

}  // namespace

absl::StatusOr<sandbox::Reach> ReachOf(const Config& config) {
  std::vector<HostPort> hosts = {config.server};
  if (config.protocol == Protocol::kRest) {
    OKMS_RETURN_IF_ERROR(http::LoadLibCurl());
    const std::optional<http::Proxy> proxy = http::ProxyFor(config.server);
    if (proxy && proxy->server) hosts.push_back(*proxy->server);
  }
  sandbox::Reach reach;
  bool names = false;
  for (const HostPort& host : hosts) {
    reach.tcp_ports.push_back(host.port);
    names = names || !ParseAddress(host);
  }
  if (names) {
    for (const ResolverFile& file : ResolverFiles()) reach.files.emplace_back(file.path);
    reach.tcp_ports.push_back(kDnsPort);
  }
  return reach;
}

absl::StatusOr<std::unique_ptr<Backend>> MakeBackend(const Config& config,
                                                     const Credentials& credentials, IoLoop& io) {
  const Credentials::Tls& tls = credentials.tls();
  if (!tls.ok()) {
    return std::make_unique<NoBackend>(WithCode(tls.status(), absl::StatusCode::kUnauthenticated));
  }
  OKMS_ASSIGN_OR_RETURN(std::unique_ptr<Backend> protocol, ProtocolOf(config, *tls, io));
  auto annotated = std::make_unique<AnnotatedBackend>(
      std::move(protocol), [&credentials] { return credentials.Trouble(); });
  return std::make_unique<SharedDecrypts>(std::move(annotated));
}

KeyPolicy KeyPolicyOf(const Config& config) {
  KeyName key = KeyId{config.key_id};
  if (!config.key_label.empty()) key = KeyLabel{config.key_label};
  return {std::move(key), config.timeout, config.label_grace};
}

}  // namespace okms
