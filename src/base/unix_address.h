// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The address of a unix socket, as bind(2) and connect(2) take it.

#ifndef OKMS_BASE_UNIX_ADDRESS_H_
#define OKMS_BASE_UNIX_ADDRESS_H_

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace okms {

class UnixAddress {
 public:
  // A path, or "@NAME" in the abstract namespace; none when it has too many bytes for one.
  static std::optional<UnixAddress> Of(absl::string_view name) {
    const bool abstract = absl::StartsWith(name, "@");
    // A path ends with a NUL byte; an abstract name begins with one, and ends where the size says.
    const std::size_t size = name.size() + (abstract ? 0 : 1);
    UnixAddress result;
    if (size > sizeof result.address_.sun_path) return std::nullopt;
    name.copy(result.address_.sun_path, name.size());
    if (abstract) result.address_.sun_path[0] = '\0';
    result.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
    return result;
  }

  // A sockaddr is what the socket API calls a sockaddr_un.
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }
  socklen_t size() const { return size_; }

 private:
  UnixAddress() { address_.sun_family = AF_UNIX; }

  sockaddr_un address_{};
  socklen_t size_ = 0;
};

}  // namespace okms

#endif  // OKMS_BASE_UNIX_ADDRESS_H_
