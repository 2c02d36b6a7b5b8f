// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Stricter than any library's: nothing is decoded, guessed or repaired, so that whoever parses the
// text again (libcurl) sees the same host in it.

#include "net/https_url.h"

#include <algorithm>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "net/address.h"

namespace okms {
namespace {

constexpr absl::string_view kScheme = "https://";
constexpr uint16_t kDefaultPort = 443;

// Whether there is nothing in it but letters, digits and these.
bool Holds(absl::string_view text, absl::string_view others) {
  return std::all_of(text.begin(), text.end(), [others](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains(others, c);
  });
}

// 0 when there is none in it.
uint16_t ParsePort(absl::string_view text) {
  uint32_t port = 0;
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  if (!digits || !absl::SimpleAtoi(text, &port) || port > UINT16_MAX) return 0;
  return static_cast<uint16_t>(port);
}

}  // namespace

absl::StatusOr<HttpsUrl> ParseHttpsUrl(absl::string_view text) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(
        PrintableAddress(text), ": ", why, "; give for example https://eu-west-rbx.okms.ovh.net"));
  };
  if (!absl::StartsWithIgnoreCase(text, kScheme)) return bad("no https URL");
  const absl::string_view rest = text.substr(kScheme.size());
  const absl::string_view authority = rest.substr(0, rest.find('/'));
  if (authority.empty()) return bad("the host is missing");
  if (absl::StrContains(authority, '@')) {
    return bad("a user has no place in it: the client certificate authenticates");
  }
  if (absl::StrContains(text, '?') || absl::StrContains(text, '#')) {
    return bad("a query or fragment has no place in it");
  }
  absl::string_view path = rest.substr(authority.size());
  if (!Holds(path, "/-._~!$&'()*+,;=:@%")) {  // RFC 3986 section 3.3
    return bad("the path has a character that must be percent-encoded");
  }
  while (absl::ConsumeSuffix(&path, "/")) continue;

  HttpsUrl result;
  absl::string_view host = authority;
  const std::size_t colon = authority.rfind(':');
  const bool has_port = colon != absl::string_view::npos && !absl::EndsWith(authority, "]");
  if (has_port) host = authority.substr(0, colon);
  result.server.port = has_port ? ParsePort(authority.substr(colon + 1)) : kDefaultPort;
  if (result.server.port == 0) return bad("the port must be between 1 and 65535");
  const bool bracketed = absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
  const bool well =
      bracketed ? Holds(host, ":.") && absl::StrContains(host, ':') : Holds(host, "-._");
  if (!well) return bad("the host is no name and no address");
  result.server.host = std::string(host);
  if (const std::optional<Address> address = ParseAddress(result.server)) {
    result.server.host = address->ToString();  // libcurl knows other forms (127.1), but not there
  } else if (bracketed) {
    return bad("the host is no name and no address");
  }
  absl::string_view bare = result.server.host;
  absl::ConsumeSuffix(&bare, ".");
  if (bare.empty()) return bad("the host is missing");
  const HostPort shown{std::string(bare), result.server.port};
  const std::string server = shown.ToString();
  result.text =
      absl::StrCat(kScheme, has_port ? server : server.substr(0, server.rfind(':')), path);
  return result;
}

}  // namespace okms
