// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// "host:port", as --serv-addr takes it.

#ifndef OKMS_NET_HOST_PORT_H_
#define OKMS_NET_HOST_PORT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace okms {

struct HostPort {
  std::string host;  // a DNS name, or an IP address without brackets
  uint16_t port = 0;

  // "host:port", with brackets around an IPv6 address.
  std::string ToString() const;
};

// Takes "name:5696", "192.0.2.1:5696" and "[2001:db8::1]:5696". Errors: kInvalidArgument.
absl::StatusOr<HostPort> ParseHostPort(absl::string_view text);

}  // namespace okms

#endif  // OKMS_NET_HOST_PORT_H_
