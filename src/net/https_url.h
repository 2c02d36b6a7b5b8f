// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// "https://host[:port][/path]", as --serv-addr takes it for REST.

#ifndef OKMS_NET_HTTPS_URL_H_
#define OKMS_NET_HTTPS_URL_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/host_port.h"

namespace okms {

struct HttpsUrl {
  std::string text;  // without a slash at the end, and without a dot at the host's
  HostPort server;   // with that dot, which tells DNS that the name is absolute
};

// Only https, since the client certificate stands for the user; no user, query or fragment. Errors:
// kInvalidArgument.
absl::StatusOr<HttpsUrl> ParseHttpsUrl(absl::string_view text);

}  // namespace okms

#endif  // OKMS_NET_HTTPS_URL_H_
