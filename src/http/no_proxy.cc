// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// golang.org/x/net/http/httpproxy, as the Go plugin has it: libcurl's own rules know neither ports
// nor `*.`, and `*` only alone.

#include "http/no_proxy.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "net/address.h"

namespace okms::http {
namespace {

using Ip = std::vector<uint8_t>;  // of 4 or 16 bytes

std::optional<Ip> ParseIp(const std::string& text) {
  Ip four(4);
  if (::inet_pton(AF_INET, text.c_str(), four.data()) == 1) return four;
  Ip sixteen(16);
  if (::inet_pton(AF_INET6, text.c_str(), sixteen.data()) != 1) return std::nullopt;
  const Ip mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};  // ::ffff:192.0.2.1
  if (!std::equal(mapped.begin(), mapped.end(), sixteen.begin())) return sixteen;
  return Ip(sixteen.begin() + 12, sixteen.end());
}

// In whichever of its forms, and without a zone.
std::optional<Ip> IpOf(const HostPort& target) {
  const std::optional<Address> address = ParseAddress(target);
  if (!address) return std::nullopt;
  const std::string text = address->ToString();
  return ParseIp(text.substr(0, text.find('%')));
}

bool IsLoopback(const Ip& ip) { return ip.size() == 4 ? ip[0] == 127 : ip == *ParseIp("::1"); }

struct Network {
  Ip ip;
  std::size_t bits;

  bool Contains(const Ip& other) const {
    if (other.size() != ip.size()) return false;
    for (std::size_t bit = 0; bit < bits; ++bit) {
      const int mask = 0x80 >> bit % 8;
      if ((ip[bit / 8] & mask) != (other[bit / 8] & mask)) return false;
    }
    return true;
  }
};

std::optional<Network> ParseNetwork(absl::string_view text) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('/', 1));
  std::optional<Ip> ip = ParseIp(parts.first);
  uint32_t bits = 0;
  if (!ip || !absl::SimpleAtoi(parts.second, &bits) || bits > 8 * ip->size()) return std::nullopt;
  return Network{*std::move(ip), bits};
}

// "host:port" and "[host]:port"; what is neither is a host alone.
std::pair<std::string, std::string> SplitPort(absl::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return {std::string(text), ""};
  absl::string_view host = text.substr(0, colon);
  const bool bracketed = absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
  if (!bracketed && absl::StrContains(text.substr(0, colon), ':')) return {std::string(text), ""};
  return {std::string(host), std::string(text.substr(colon + 1))};
}

bool IsFor(absl::string_view entry, absl::string_view name, const std::optional<Ip>& ip,
           uint16_t target_port) {
  if (entry == "*") return true;
  if (const std::optional<Network> network = ParseNetwork(entry)) {
    return ip && network->Contains(*ip);
  }
  auto [host, port] = SplitPort(entry);
  if (host.empty() || (!port.empty() && port != absl::StrCat(target_port))) return false;
  if (const std::optional<Ip> its_ip = ParseIp(host)) return ip == its_ip;
  absl::string_view domain = host;
  if (absl::StartsWith(domain, "*.")) domain.remove_prefix(1);
  if (absl::StartsWith(domain, ".")) return absl::EndsWith(name, domain);
  return name == domain || absl::EndsWith(name, absl::StrCat(".", domain));
}

}  // namespace

bool IsExceptedFromProxy(const HostPort& target, absl::string_view no_proxy) {
  const std::string lower = absl::AsciiStrToLower(target.host);
  const absl::string_view name = absl::StripSuffix(lower, ".");
  const std::optional<Ip> ip = IpOf(target);
  if (name == "localhost" || (ip && IsLoopback(*ip))) return true;
  for (const absl::string_view text : absl::StrSplit(no_proxy, ',')) {
    const std::string entry = absl::AsciiStrToLower(absl::StripAsciiWhitespace(text));
    if (!entry.empty() && IsFor(entry, name, ip, target.port)) return true;
  }
  return false;
}

}  // namespace okms::http
