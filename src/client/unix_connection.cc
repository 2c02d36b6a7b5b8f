// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "client/unix_connection.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <optional>

#include "base/status.h"
#include "base/unix_address.h"

namespace okms::client {

absl::StatusOr<UniqueFd> ConnectUnix(const std::string& name, std::chrono::seconds patience) {
  const std::optional<UnixAddress> address = UnixAddress::Of(name);
  if (!address) return absl::UnavailableError("the path is too long for a socket");
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd) {
    // It bounds connect(2) as well (socket(7)); 0 would be no bound.
    const timeval bound{patience.count(), 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
    if (patience.count() == 0) ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    if (::connect(fd.get(), address->get(), address->size()) == 0) return fd;
  }
  switch (errno) {
    case EACCES: return ErrnoStatus(absl::StatusCode::kPermissionDenied, "connect", errno);
    case EAGAIN: return absl::ResourceExhaustedError("as many wait already as may");
    default: return ErrnoStatus(absl::StatusCode::kUnavailable, "connect", errno);
  }
}

}  // namespace okms::client
