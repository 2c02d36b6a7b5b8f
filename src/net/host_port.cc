// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/host_port.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace okms {

std::string HostPort::ToString() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return absl::StrCat(ipv6 ? "[" : "", host, ipv6 ? "]:" : ":", port);
}

absl::StatusOr<HostPort> ParseHostPort(absl::string_view text) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("\"", PrintableAddress(text), "\" ", why,
                                                   "; give host:port, for example kms:5696"));
  };
  if (absl::StrContains(text, "://")) return bad("is a URL");
  const std::size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return bad("has no port");
  absl::string_view host = text.substr(0, colon);
  if (absl::StartsWith(host, "[") && absl::EndsWith(host, "]")) {
    host = host.substr(1, host.size() - 2);
  } else if (absl::StrContains(host, ":")) {
    return bad("has an IPv6 address without brackets, or more than one port");
  }
  if (host.empty() || host == ".") return bad("has no host");
  // A NUL byte, for one, would cut the name short for c-ares and for OpenSSL.
  const auto invalid = [](char c) { return !absl::ascii_isgraph(static_cast<unsigned char>(c)); };
  if (std::any_of(host.begin(), host.end(), invalid) ||
      host.find_first_of("/@[]") != absl::string_view::npos) {
    return bad("has an invalid host");
  }
  uint32_t port = 0;
  if (!absl::SimpleAtoi(text.substr(colon + 1), &port) || port == 0 || port > 65535) {
    return bad("has no port between 1 and 65535");
  }
  return HostPort{std::string(host), static_cast<uint16_t>(port)};
}

}  // namespace okms
