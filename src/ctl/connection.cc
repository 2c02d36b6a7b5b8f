// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/connection.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <variant>

#include "base/status.h"
#include "base/unix_address.h"

namespace okms::ctl {
namespace {

absl::Status Refused(int error) {
  switch (error) {
    case ENOENT: return absl::NotFoundError("there is no such socket");
    case EACCES: return absl::PermissionDeniedError("this user may not connect");
    case ECONNREFUSED: return absl::UnavailableError("nobody listens there");
    case EAGAIN:
    case EINPROGRESS: return absl::UnavailableError("no answer in time");
    default: return ErrnoStatus(absl::StatusCode::kUnavailable, "no connection", error);
  }
}

absl::StatusOr<UniqueFd> Connect(const sockaddr* address, socklen_t size, Deadline deadline) {
  UniqueFd socket(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return Refused(errno);
  // It bounds connect(2) as well (socket(7)), which waits when a unix socket has a queue, too.
  const int left = PollTimeout(deadline);
  if (left == 0) return Refused(EAGAIN);
  const timeval bound{left / 1000, left % 1000 * 1000};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
  if (::connect(socket.get(), address, size) != 0) return Refused(errno);
  ::fcntl(socket.get(), F_SETFL, O_NONBLOCK);
  return socket;
}

}  // namespace

absl::StatusOr<UniqueFd> Connect(const StatusListen& to, Deadline deadline) {
  if (const auto* const path = std::get_if<SocketAddress>(&to)) {
    const std::optional<UnixAddress> address = UnixAddress::Of(path->ToString());
    if (!address) return absl::NotFoundError("no socket can have a path that long");
    return Connect(address->get(), address->size(), deadline);
  }
  const Address& address = std::get<TcpListen>(to).address;
  // A sockaddr is what the socket API calls a sockaddr_storage.
  return Connect(reinterpret_cast<const sockaddr*>(&address.storage), address.size, deadline);
}

}  // namespace okms::ctl
