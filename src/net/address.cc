// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cstddef>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace okms {
namespace {

template <typename T>
Address Store(const T& specific) {
  static_assert(sizeof specific <= sizeof(sockaddr_storage));
  Address address;
  std::memcpy(&address.storage, &specific, sizeof specific);
  address.size = sizeof specific;
  return address;
}

}  // namespace

std::string Address::ToString() const {
  char text[INET6_ADDRSTRLEN] = "?";
  if (storage.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &storage, sizeof in);
    ::inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
  } else if (storage.ss_family == AF_INET6) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, &storage, sizeof in6);
    ::inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text);
    if (in6.sin6_scope_id != 0) return absl::StrCat(text, "%", in6.sin6_scope_id);
  }
  return text;
}

bool IsLoopback(const Address& address) {
  if (address.storage.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &address.storage, sizeof in);
    return ntohl(in.sin_addr.s_addr) >> 24U == IN_LOOPBACKNET;
  }
  sockaddr_in6 in6{};
  std::memcpy(&in6, &address.storage, sizeof in6);
  return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) != 0;
}

std::string Listed(std::span<const Address> addresses) {
  return absl::StrJoin(addresses, ", ", [](std::string* out, const Address& address) {
    absl::StrAppend(out, address.ToString());
  });
}

std::string PeerOf(int socket) {
  Address address;
  address.size = sizeof address.storage;
  // A sockaddr is what the socket API calls a sockaddr_storage.
  auto* storage = reinterpret_cast<sockaddr*>(&address.storage);
  if (::getpeername(socket, storage, &address.size) != 0) return "?";
  in_port_t port = 0;  // at the same place for both families
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  std::memcpy(&port,
              reinterpret_cast<const char*>(&address.storage) + offsetof(sockaddr_in, sin_port),
              sizeof port);
  return HostPort{address.ToString(), ntohs(port)}.ToString();
}

std::optional<Address> ParseAddress(const HostPort& target) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(target.port);
  if (::inet_aton(target.host.c_str(), &in.sin_addr) == 1) return Store(in);

  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(target.port);
  const std::size_t percent = target.host.find('%');
  if (::inet_pton(AF_INET6, target.host.substr(0, percent).c_str(), &in6.sin6_addr) != 1) {
    return std::nullopt;
  }
  if (percent != std::string::npos) {
    const std::string zone = target.host.substr(percent + 1);
    if (!absl::SimpleAtoi(zone, &in6.sin6_scope_id)) {
      in6.sin6_scope_id = ::if_nametoindex(zone.c_str());
    }
    if (in6.sin6_scope_id == 0) return std::nullopt;
  }
  return Store(in6);
}

}  // namespace okms
