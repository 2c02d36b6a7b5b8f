// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms {

absl::StatusOr<ServiceManager> ServiceManager::Connect() {
  const char* const variable = std::getenv("NOTIFY_SOCKET");
  const absl::string_view name = variable != nullptr ? variable : "";
  if (name.empty()) return ServiceManager();
  const std::string context =
      absl::StrCat("cannot reach the service manager at NOTIFY_SOCKET=", Printable(name));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if ((name[0] != '/' && name[0] != '@') || name.size() >= sizeof address.sun_path) {
    return absl::UnavailableError(absl::StrCat(context, ": not the name of a unix socket"));
  }
  name.copy(address.sun_path, name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';  // an abstract name ends where the length says
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  // A sockaddr is what the socket API calls a sockaddr_un.
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    return ErrnoStatus(absl::StatusCode::kUnavailable, context, errno);
  }
  return ServiceManager(std::move(socket));
}

void ServiceManager::Notify(absl::string_view message) const {
  if (socket_) ::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL);
}

}  // namespace okms
