// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/socket.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms {

absl::StatusOr<ListenSocket> OpenSocket(std::optional<ListenSocket> passed, const Config& config,
                                        const absl::Status& unusable) {
  if (passed) return *std::move(passed);
  OKMS_RETURN_IF_ERROR(unusable);
  return ListenSocket::Bind(config.socket, config.socket_group);
}

void SocketWatch::Look() {
  const std::string what = file_.Look();
  std::string trouble =
      what.empty() ? "" : absl::StrCat("NOBODY CAN CONNECT: ", socket_.path(), " ", what);
  if (trouble == trouble_) return;
  trouble_ = std::move(trouble);
  if (what.empty()) {
    log_.Notice(EventName::kSocketBack,
                absl::StrCat(socket_.path(), ": our socket file is there again"));
    return;
  }
  log_.Error(
      EventName::kSocketLost,
      absl::StrCat(socket_.path(), ": our socket file ", what, ": nobody can connect any more; ",
                   socket_.from_systemd() ? "restart the socket unit, this service with it"
                                          : "restart this service"));
}

}  // namespace okms
