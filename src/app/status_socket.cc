// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/status_socket.h"

#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "net/address.h"

namespace okms {
namespace {

absl::StatusOr<ListenSocket> Bind(const Config& config) {
  if (const auto* const path = std::get_if<SocketAddress>(&*config.status_listen)) {
    return ListenSocket::Bind(*path, config.socket_group);
  }
  const TcpListen& tcp = std::get<TcpListen>(*config.status_listen);
  return ListenSocket::BindTcp(tcp.address, tcp.name);
}

}  // namespace

StatusSocket OpenStatusSocket(PassedSockets& passed, const Config& config, const Logger& log) {
  absl::Status refused = passed.status_refused;
  StatusSocket result;
  result.socket = std::exchange(passed.status, std::nullopt);
  if (!result.socket && refused.ok() && config.status_listen) {
    absl::StatusOr<ListenSocket> bound = Bind(config);
    refused = bound.status();
    if (bound.ok()) result.socket.emplace(*std::move(bound));
  }
  if (!refused.ok()) {
    result.trouble = absl::StrCat("NO STATUS PAGES: ", refused.message());
    log.Error(EventName::kStatusPagesTrouble, absl::StrCat("no status pages: ", refused.message()));
  }
  if (!result.socket) return result;
  const std::optional<Address> address = result.socket->tcp_address();
  if (!address) return result;
  log.Warning(EventName::kStatusPagesOpen,
              absl::StrCat("the status pages at ", result.socket->name(),
                           ", which name the key and the KMS, can be read ",
                           IsLoopback(*address) ? "by every user of this machine"
                                                : "by whoever reaches that address",
                           "; a unix socket is for root and a group"));
  return result;
}

}  // namespace okms
