// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The proxy that the environment names for https.

#ifndef OKMS_NET_PROXY_H_
#define OKMS_NET_PROXY_H_

#include <optional>
#include <string>

#include "net/host_port.h"

namespace okms {

struct Proxy {
  std::string url;  // as it was written; a password may be in it
  // Whom to connect to; nullopt when libcurl would not know either, or when it is a unix socket.
  std::optional<HostPort> server;
  // Whether we may have to know the KMS's address too: NO_PROXY may except it from the proxy, and
  // some kinds of SOCKS proxies are told addresses.
  bool target_is_resolved = false;
};

// What libcurl takes from https_proxy, HTTPS_PROXY, all_proxy or ALL_PROXY, the first that is not
// empty; nullopt: none. Whether NO_PROXY excepts the KMS is left to libcurl. LoadLibCurl must have
// succeeded. Not while the environment changes.
std::optional<Proxy> ProxyFromEnvironment();

}  // namespace okms

#endif  // OKMS_NET_PROXY_H_
