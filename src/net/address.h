// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// An IP address and a port, as the socket API takes them.

#ifndef OKMS_NET_ADDRESS_H_
#define OKMS_NET_ADDRESS_H_

#include <sys/socket.h>

#include <optional>
#include <span>
#include <string>

#include "net/host_port.h"

namespace okms {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  // The IP address without the port; "?" when there is none.
  std::string ToString() const;
};

// Whether no other machine can reach it.
bool IsLoopback(const Address& address);

// Separated by commas.
std::string Listed(std::span<const Address> addresses);

// Whom a connected socket leads to, with the port; "?" when it is not connected.
std::string PeerOf(int socket);

// The target's address, when its host is one already: whatever inet_aton(3) takes, or IPv6, with a
// zone perhaps ("fe80::1%eth0"; the kernel is asked which one that is).
std::optional<Address> ParseAddress(const HostPort& target);

}  // namespace okms

#endif  // OKMS_NET_ADDRESS_H_
