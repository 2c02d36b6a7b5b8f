// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/service_manager.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/unix_address.h"

namespace okms {

absl::StatusOr<ServiceManager> ServiceManager::Connect() {
  const char* const variable = std::getenv("NOTIFY_SOCKET");
  const absl::string_view name = variable != nullptr ? variable : "";
  if (name.empty()) return ServiceManager();
  const std::string context =
      absl::StrCat("cannot reach the service manager at NOTIFY_SOCKET=", Printable(name));
  const std::optional<UnixAddress> address = UnixAddress::Of(name);
  if ((name[0] != '/' && name[0] != '@') || !address) {
    return absl::UnavailableError(absl::StrCat(context, ": not the name of a unix socket"));
  }
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket || ::connect(socket.get(), address->get(), address->size()) != 0) {
    return ErrnoStatus(absl::StatusCode::kUnavailable, context, errno);
  }
  return ServiceManager(std::move(socket));
}

void ServiceManager::Notify(absl::string_view message) const {
  if (socket_) ::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL);
}

}  // namespace okms
