// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/https_url.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "net/curl_url.h"
#include "net/libcurl.h"

namespace okms {
namespace {

constexpr absl::string_view kScheme = "https://";

}  // namespace

absl::StatusOr<HttpsUrl> ParseHttpsUrl(absl::string_view text) {
  const auto bad = [&](absl::string_view why) {
    // A password in it stays out of the message.
    const bool has_user = absl::StrContains(text, '@');
    return absl::InvalidArgumentError(
        absl::StrCat(has_user ? "(with a user)" : Printable(text), ": ", why,
                     "; give for example https://eu-west-rbx.okms.ovh.net"));
  };
  if (!absl::StartsWithIgnoreCase(text, kScheme)) return bad("no https URL");
  OKMS_RETURN_IF_ERROR(LoadLibCurl());
  const CurlUrlPtr url(Curl().url());
  if (!url) return absl::InternalError("out of memory");
  const CURLUcode parsed = Curl().url_set(url.get(), CURLUPART_URL, std::string(text).c_str(), 0);
  if (parsed != CURLUE_OK) return bad(Curl().url_strerror(parsed));
  // libcurl is more lenient: it looks for the host behind more slashes, and drops an empty user.
  const absl::string_view rest = text.substr(kScheme.size());
  const absl::string_view authority = rest.substr(0, rest.find('/'));
  if (authority.empty()) return bad("the host is missing");
  if (absl::StrContains(authority, '@')) {
    return bad("a user has no place in it: the client certificate authenticates");
  }
  if (absl::StrContains(text, '?') || absl::StrContains(text, '#')) {
    return bad("a query or fragment has no place in it");
  }
  HttpsUrl result;
  result.server.host = UrlHost(url.get());
  if (absl::string_view bare = result.server.host; absl::ConsumeSuffix(&bare, ".")) {
    if (bare.empty()) return bad("the host is missing");
    Curl().url_set(url.get(), CURLUPART_HOST, std::string(bare).c_str(), 0);
  }
  result.text = UrlPart(url.get(), CURLUPART_URL);
  while (absl::EndsWith(result.text, "/")) result.text.pop_back();
  int port = 0;
  if (!absl::SimpleAtoi(UrlPart(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT), &port) ||
      port < 1 || port > UINT16_MAX) {
    return bad("the port must be between 1 and 65535");
  }
  result.server.port = static_cast<uint16_t>(port);
  return result;
}

}  // namespace okms
