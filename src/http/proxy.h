// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The proxy that the environment names for https, by the rules of Go's httpproxy.

#ifndef OKMS_HTTP_PROXY_H_
#define OKMS_HTTP_PROXY_H_

#include <optional>
#include <string>

#include "net/host_port.h"

namespace okms::http {

struct Proxy {
  std::string url;  // for libcurl; a password may be in it
  // Whom to connect to; nullopt when libcurl would not know either, or when it is a unix socket.
  std::optional<HostPort> server;
  // Whether the KMS's address must be known too: some kinds of SOCKS proxies are told addresses.
  bool target_is_resolved = false;
};

// That of HTTPS_PROXY or https_proxy, the first that is not empty; nullopt: `target` is reached
// without one, because there is none or because NO_PROXY or no_proxy excepts it. LoadLibCurl must
// have succeeded. Not while the environment changes.
std::optional<Proxy> ProxyFor(const HostPort& target);

}  // namespace okms::http

#endif  // OKMS_HTTP_PROXY_H_
