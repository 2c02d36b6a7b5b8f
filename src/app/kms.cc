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
#include "core/shared_decrypts.h"
#include "net/address.h"
#include "net/host_port.h"
#include "net/lookup.h"

namespace okms {
namespace {

constexpr uint16_t kDnsPort = 53;  // over TCP: for answers that do not fit a datagram

}  // namespace

absl::StatusOr<sandbox::Reach> ReachOf(const Config& config) {
  OKMS_ASSIGN_OR_RETURN(const std::vector<HostPort> hosts, config.protocol->hosts(config));
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
  if (const std::string& path = config.key_id_file.path; !path.empty()) {
    std::error_code error;
    reach.own_files.push_back(std::filesystem::absolute(path, error).string());
  }
  return reach;
}

absl::StatusOr<std::unique_ptr<Backend>> MakeBackend(const Config& config,
                                                     const Credentials& credentials, IoLoop& io) {
  const Credentials::Tls& tls = credentials.tls();
  if (!tls.ok()) {
    return std::make_unique<NoBackend>(WithCode(tls.status(), absl::StatusCode::kUnauthenticated));
  }
  OKMS_ASSIGN_OR_RETURN(std::unique_ptr<Backend> kms, config.protocol->make(config, *tls, io));
  auto annotated = std::make_unique<AnnotatedBackend>(
      std::move(kms), [&credentials] { return credentials.Trouble(); });
  return std::make_unique<SharedDecrypts>(std::move(annotated));
}

KeyPolicy KeyPolicyOf(const Config& config) {
  KeyId id{config.key_id};
  if (!config.key_id_file.path.empty()) id.option = config.key_id_file.option;
  KeyName key = std::move(id);
  if (!config.key_label.empty()) key = KeyLabel{config.key_label};
  return {std::move(key), config.timeout, config.label_grace};
}

}  // namespace okms
