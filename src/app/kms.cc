// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/kms.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/status.h"
#include "core/annotated_backend.h"
#include "net/address.h"
#include "net/host_port.h"
#include "net/lookup.h"

namespace okms {
namespace {

constexpr uint16_t kDnsPort = 53;  // over TCP: for answers that do not fit a datagram

}  // namespace

absl::StatusOr<sandbox::Reach> ReachOf(const Config& config) {
  sandbox::Reach reach;
  bool names = false;
  for (const Server& server : config.servers) {
    OKMS_ASSIGN_OR_RETURN(const std::vector<HostPort> hosts,
                          config.protocol->hosts(config, server));
    for (const HostPort& host : hosts) {
      reach.tcp_ports.push_back(host.port);
      names = names || !ParseAddress(host);
    }
  }
  if (names) {
    for (const ResolverFile& file : ResolverFiles()) reach.files.emplace_back(file.path);
    reach.tcp_ports.push_back(kDnsPort);
  }
  return reach;
}

absl::StatusOr<std::vector<std::unique_ptr<Backend>>> MakeServers(
    const Config& config, const std::shared_ptr<const TlsContext>& tls,
    std::deque<ServerCounters>& counters, IoLoop& io) {
  std::vector<std::unique_ptr<Backend>> servers;
  for (std::size_t i = 0; i < config.servers.size(); ++i) {
    OKMS_ASSIGN_OR_RETURN(servers.emplace_back(),
                          config.protocol->make(config, config.servers[i], tls, counters[i], io));
  }
  return servers;
}

absl::StatusOr<Kms> MakeKms(const Config& config, const Credentials& credentials, IoLoop& io) {
  Kms kms;
  kms.counters = std::make_unique<std::deque<ServerCounters>>(config.servers.size());
  std::vector<std::unique_ptr<Backend>> servers;
  if (const Credentials::Tls& tls = credentials.tls(); tls.ok()) {
    OKMS_ASSIGN_OR_RETURN(servers, MakeServers(config, *tls, *kms.counters, io));
  } else {
    const absl::Status why = WithCode(tls.status(), absl::StatusCode::kUnauthenticated);
    for (std::size_t i = 0; i < config.servers.size(); ++i) {
      servers.push_back(std::make_unique<NoBackend>(why));
    }
  }
  std::vector<std::unique_ptr<Backend>> hosts;
  for (std::unique_ptr<Backend>& server : servers) {
    auto host = std::make_unique<ReplaceableBackend>(std::move(server));
    kms.servers.push_back(host.get());
    hosts.push_back(std::move(host));
  }
  auto annotated = std::make_unique<AnnotatedBackend>(
      std::move(hosts.front()), [&credentials] { return credentials.Trouble(); });
  auto shared = std::make_unique<SharedDecrypts>(std::move(annotated));
  kms.shared = shared.get();
  kms.backend = std::move(shared);
  return kms;
}

KeyPolicy KeyPolicyOf(const Config& config) {
  KeyName key = KeyId{config.key_id};
  if (!config.key_label.empty()) key = KeyLabel{config.key_label};
  return {std::move(key), config.timeout, config.label_grace};
}

}  // namespace okms
