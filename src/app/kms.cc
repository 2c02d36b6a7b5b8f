// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/kms.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "core/annotated_backend.h"
#include "core/failover.h"
#include "net/address.h"
#include "net/host_port.h"
#include "net/lookup.h"

namespace okms {
namespace {

constexpr uint16_t kDnsPort = 53;  // over TCP: for answers that do not fit a datagram

// The files that are read again while it runs.
std::vector<std::string> OwnFiles(const Config& config) {
  std::vector<std::string> files = config.tls.Paths();
  if (!config.key_id_file.path.empty()) files.push_back(config.key_id_file.path);
  return files;
}

// Landlock knows directories, not their names, and systemd puts another one in the place of that
// with the credentials: reading is granted in the one above it, too, which holds nothing else for
// this service.
void AddOwnFiles(const Config& config, std::vector<std::string>& files) {
  const char* const variable = std::getenv("CREDENTIALS_DIRECTORY");
  const std::string directory(absl::StripSuffix(variable != nullptr ? variable : "", "/"));
  for (const std::string& file : OwnFiles(config)) {
    files.push_back(file);
    if (!directory.empty() && absl::StartsWith(file, absl::StrCat(directory, "/"))) {
      files.push_back(directory);
    }
  }
}

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
  AddOwnFiles(config, reach.own_files);
  if (names) {
    for (const ResolverFile& file : ResolverFiles()) reach.files.emplace_back(file.path);
    reach.tcp_ports.push_back(kDnsPort);
  }
  return reach;
}

absl::StatusOr<Kms> MakeKms(const Config& config, const Credentials& credentials, const Logger& log,
                            IoLoop& io) {
  Kms kms;
  kms.counters = std::make_unique<std::deque<ServerCounters>>(config.servers.size());
  std::vector<BackendHost> hosts;
  if (const Credentials::Tls tls = credentials.tls(); tls.ok()) {
    OKMS_ASSIGN_OR_RETURN(hosts, HostMaker(config, *kms.counters, io)(*tls));
  } else {
    const absl::Status why = WithCode(tls.status(), absl::StatusCode::kUnauthenticated);
    for (const Server& server : config.servers) {
      hosts.push_back({server.Name(), std::make_unique<NoBackend>(why)});
    }
  }
  for (BackendHost& host : hosts) {
    auto replaceable = std::make_unique<ReplaceableBackend>(std::move(host.backend));
    kms.servers.push_back(replaceable.get());
    host.backend = std::move(replaceable);
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
  auto shared = std::make_unique<SharedDecrypts>(std::move(annotated));
  kms.shared = shared.get();
  kms.backend = std::move(shared);
  return kms;
}

Reload::Maker HostMaker(const Config& config, std::deque<ServerCounters>& counters, IoLoop& io) {
  return [&](const std::shared_ptr<const TlsContext>& tls)
             -> absl::StatusOr<std::vector<BackendHost>> {
    std::vector<BackendHost> hosts;
    for (std::size_t i = 0; i < config.servers.size(); ++i) {
      const Server& server = config.servers[i];
      OKMS_ASSIGN_OR_RETURN(auto backend,
                            config.protocol->make(config, server, tls, counters[i], io));
      hosts.push_back({server.Name(), std::move(backend)});
    }
    return hosts;
  };
}

KeyPolicy KeyPolicyOf(const Config& config) {
  KeyId id{config.key_id};
  if (!config.key_id_file.path.empty()) id.option = config.key_id_file.option;
  KeyName key = std::move(id);
  if (!config.key_label.empty()) key = KeyLabel{config.key_label};
  return {std::move(key), config.timeout, config.label_grace};
}

}  // namespace okms
