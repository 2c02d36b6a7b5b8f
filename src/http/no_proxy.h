// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// NO_PROXY, by the rules of Go's httpproxy.

#ifndef OKMS_HTTP_NO_PROXY_H_
#define OKMS_HTTP_NO_PROXY_H_

#include "absl/strings/string_view.h"
#include "net/host_port.h"

namespace okms::http {

// Whether `target` is reached without a proxy: localhost and loopback addresses always, all else
// when one of the list's entries, with commas between them, is for it: `*` for all; an address or a
// network (192.0.2.0/24); a domain with what is in it (example.org), or only what is in it
// (.example.org, *.example.org). An address or domain may have a port, and then counts for that
// one.
bool IsExceptedFromProxy(const HostPort& target, absl::string_view no_proxy);

}  // namespace okms::http

#endif  // OKMS_HTTP_NO_PROXY_H_
