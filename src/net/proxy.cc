// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// As libcurl does it (7.85 to 8.x).

#include "net/proxy.h"

#include <cstdlib>
#include <initializer_list>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "net/curl_url.h"
#include "net/libcurl.h"

namespace okms {
namespace {

// The first of these variables that is not empty.
std::string FirstOf(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return "";
}

}  // namespace

std::optional<Proxy> ProxyFromEnvironment() {
  Proxy proxy;
  proxy.url = FirstOf({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"});
  if (proxy.url.empty()) return std::nullopt;
  proxy.target_is_resolved = !FirstOf({"no_proxy", "NO_PROXY"}).empty();
  const CurlUrlPtr url(Curl().url());
  constexpr unsigned kFlags = CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME;
  if (!url || Curl().url_set(url.get(), CURLUPART_URL, proxy.url.c_str(), kFlags) != CURLUE_OK) {
    return proxy;
  }
  const std::string scheme = absl::AsciiStrToLower(UrlPart(url.get(), CURLUPART_SCHEME));
  // The others ("socks4a", "socks5h") are told the name.
  if (scheme == "socks" || scheme == "socks4" || scheme == "socks5") {
    proxy.target_is_resolved = true;
  }
  HostPort server;
  server.host = UrlHost(url.get(), CURLU_URLDECODE);
  // "socks5h://localhost/path" is the unix socket of that path.
  const bool is_unix = absl::StartsWith(scheme, "socks") && server.host == "localhost" &&
                       UrlPart(url.get(), CURLUPART_PATH, CURLU_URLDECODE) != "/";
  if (server.host.empty() || is_unix) return proxy;
  const std::string port = UrlPart(url.get(), CURLUPART_PORT);
  uint32_t number = scheme == "https" ? 443 : 1080;
  if (!port.empty() && (!absl::SimpleAtoi(port, &number) || number > UINT16_MAX)) return proxy;
  server.port = static_cast<uint16_t>(number);
  proxy.server = std::move(server);
  return proxy;
}

}  // namespace okms
