// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/kms.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/status.h"
#include "core/annotated_backend.h"
#include "core/failover.h"
#include "core/shared_decrypts.h"
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
  if (const std::string& path = config.key_id_file.path; !path.empty()) {
    std::error_code error;
    reach.own_files.push_back(std::filesystem::absolute(path, error).string());
  }
  return reach;
}

absl::StatusOr<std::vector<std::unique_ptr<Backend>>> MakeServers(
    const Config& config, const std::shared_ptr<const TlsContext>& tls, IoLoop& io) {
  std::vector<std::unique_ptr<Backend>> servers;
  for (const Server& server : config.servers) {
    OKMS_ASSIGN_OR_RETURN(servers.emplace_back(), config.protocol->make(config, server, tls, io));
  }
  return servers;
}

absl::StatusOr<Kms> MakeKms(const Config& config, const Credentials& credentials, const Logger& log,
                            IoLoop& io) {
  std::vector<std::unique_ptr<Backend>> servers;
  if (const Credentials::Tls& tls = credentials.tls(); tls.ok()) {
    OKMS_ASSIGN_OR_RETURN(servers, MakeServers(config, *tls, io));
  } else {
    const absl::Status why = WithCode(tls.status(), absl::StatusCode::kUnauthenticated);
    for (std::size_t i = 0; i < config.servers.size(); ++i) {
      servers.push_back(std::make_unique<NoBackend>(why));
    }
  }
  Kms kms;
  std::vector<Failover::Host> hosts;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    auto host = std::make_unique<ReplaceableBackend>(std::move(servers[i]));
    kms.servers.push_back(host.get());
    hosts.push_back({config.servers[i].Name(), std::move(host)});
  }
  std::unique_ptr<Backend> all;
  if (hosts.size() == 1) {
    all = std::move(hosts.front().backend);
  } else {
    const auto call_at = [&io](Deadline time, IoLoop::Task task) {
      io.PostAt(time, std::move(task));
    };
    auto failover = std::make_unique<Failover>(std::move(hosts), call_at, log);
    kms.failover = failover.get();
    all = std::move(failover);
  }
  auto annotated = std::make_unique<AnnotatedBackend>(
      std::move(all), [&credentials] { return credentials.Trouble(); });
  kms.backend = std::make_unique<SharedDecrypts>(std::move(annotated));
  return kms;
}

KeyPolicy KeyPolicyOf(const Config& config) {
  KeyId id{config.key_id};
  if (!config.key_id_file.path.empty()) id.option = config.key_id_file.option;
  KeyName key = std::move(id);
  if (!config.key_label.empty()) key = KeyLabel{config.key_label};
  return {std::move(key), config.timeout, config.label_grace};
}

}  // namespace okms
