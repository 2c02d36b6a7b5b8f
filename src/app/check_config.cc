// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/check_config.h"

#include <cstdio>
#include <ctime>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "app/kms.h"
#include "base/utf8.h"
#include "net/tls_context.h"
#include "sandbox/privileges.h"
#include "service/kms_server.h"
#include "service/listen_socket.h"
#include "service/listener.h"

namespace okms {
namespace {

std::string SocketState(const std::string& state) {
  return state == "free" ? "free" : "in use, by the plugin that runs or by another process";
}

}  // namespace

bool CheckConfig(const Config& config, const Logger& log) {
  bool well = true;
  const auto look = [&](const absl::Status& status) {
    if (status.ok()) return;
    log.Error(EventName::kMisconfigured, std::string(status.message()));
    well = false;
  };
  const TlsContext::Reading tls = TlsContext::Read(config.tls);
  log.Warnings(EventName::kCertificateWarning, tls.warnings);
  for (const absl::Status& mistake : tls.Mistakes()) look(mistake);
  // No reason not to start, but one not to wait for it.
  for (const Validity::Remark& remark : tls.validity.Remarks(std::time(nullptr))) {
    if (remark.wrong) {
      look(absl::FailedPreconditionError(remark.Text()));
    } else {
      log.Warning(EventName::kCertificateEnds, remark.Text());
    }
  }
  look(ReachOf(config).status());
  const auto socket = ListenSocket::Check(config.socket, config.socket_group);
  look(socket.status());
  if (config.status_listen) {
    if (const auto* const path = std::get_if<SocketAddress>(&*config.status_listen)) {
      look(ListenSocket::Check(*path, config.socket_group).status());
    }
  }
  look(sandbox::CheckUser(config.user));
  PeerPolicy policy{config.allowed_uids, config.allowed_gids};
  log.Warnings(EventName::kConfigurationWarning, policy.ForgetUnknown());
  log.WarnIfError(EventName::kStartWarning, KmsServer::ReserveDescriptors());
  if (!well) return false;
  const std::string line = absl::StrCat("all is well: ", tls.context->Summary(), "; socket ",
                                        config.socket.ToString(), " ", SocketState(*socket));
  return std::printf("%s\n", OneLine(line).c_str()) >= 0 && std::fflush(stdout) == 0;
}

}  // namespace okms
