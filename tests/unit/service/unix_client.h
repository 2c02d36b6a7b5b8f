// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A client of a unix socket.

#ifndef OKMS_TESTS_UNIT_SERVICE_UNIX_CLIENT_H_
#define OKMS_TESTS_UNIT_SERVICE_UNIX_CLIENT_H_

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "base/unique_fd.h"
#include "net/socket_address.h"

namespace okms::test {

// A socket, and the address that it may be bound or connected to. No descriptor on failure.
struct UnixSocket {
  explicit UnixSocket(const SocketAddress& target, int type = SOCK_STREAM)
      : fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0)) {
    address.sun_family = AF_UNIX;
    const std::string name =
        target.path.empty() ? std::string(1, '\0') + target.abstract_name : target.path;
    std::memcpy(address.sun_path, name.data(), name.size());
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() +
                                  (target.path.empty() ? 0 : 1));
  }
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&address); }

  UniqueFd fd;
  sockaddr_un address{};
  socklen_t size = 0;
};

// 0, or what connect(2) says.
inline int ConnectError(const SocketAddress& target) {
  const UnixSocket socket(target);
  return ::connect(socket.fd.get(), socket.raw(), socket.size) == 0 ? 0 : errno;
}

inline UniqueFd ConnectTo(const SocketAddress& target) {
  UnixSocket socket(target);
  if (::connect(socket.fd.get(), socket.raw(), socket.size) != 0) return UniqueFd();
  return std::move(socket.fd);
}

}  // namespace okms::test

#endif  // OKMS_TESTS_UNIT_SERVICE_UNIX_CLIENT_H_
