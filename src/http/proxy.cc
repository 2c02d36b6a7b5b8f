// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/proxy.h"

#include <cstdlib>
#include <initializer_list>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "http/curl_url.h"
#include "http/libcurl.h"
#include "http/no_proxy.h"

namespace okms::http {
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

std::optional<Proxy> ProxyFor(const HostPort& target) {
  Proxy proxy;
  proxy.url = FirstOf({"HTTPS_PROXY", "https_proxy"});
  if (proxy.url.empty() || IsExceptedFromProxy(target, FirstOf({"NO_PROXY", "no_proxy"}))) {
    return std::nullopt;
  }
  if (!absl::StrContains(proxy.url, "://")) proxy.url.insert(0, "http://");
  const CurlUrlPtr url(Curl().url());
  constexpr unsigned kFlags = CURLU_NON_SUPPORT_SCHEME;
  if (!url || Curl().url_set(url.get(), CURLUPART_URL, proxy.url.c_str(), kFlags) != CURLUE_OK) {
    return proxy;
  }
  const std::string scheme = absl::AsciiStrToLower(UrlPart(url.get(), CURLUPART_SCHEME));
  // The others ("socks4a", "socks5h") are told the name.
  proxy.target_is_resolved = scheme == "socks" || scheme == "socks4" || scheme == "socks5";
  HostPort server;
  server.host = UrlHost(url.get(), CURLU_URLDECODE);
  // "socks5h://localhost/path" is the unix socket of that path.
  const bool is_unix = absl::StartsWith(scheme, "socks") && server.host == "localhost" &&
                       UrlPart(url.get(), CURLUPART_PATH, CURLU_URLDECODE) != "/";
  if (server.host.empty() || is_unix) return proxy;
  std::string port = UrlPart(url.get(), CURLUPART_PORT);
  if (port.empty()) {
    // Go's; libcurl's would be 1080 for HTTP too.
    port = scheme == "https" ? "443" : scheme == "http" ? "80" : "1080";
    Curl().url_set(url.get(), CURLUPART_PORT, port.c_str(), 0);
    proxy.url = UrlPart(url.get(), CURLUPART_URL);
  }
  uint32_t number = 0;
  if (!absl::SimpleAtoi(port, &number) || number > UINT16_MAX) return proxy;
  server.port = static_cast<uint16_t>(number);
  proxy.server = std::move(server);
  return proxy;
}

}  // namespace okms::http
