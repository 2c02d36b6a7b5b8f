// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/https_url.h"

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "net/libcurl.h"

namespace okms {
namespace {

constexpr absl::string_view kScheme = "https://";

struct UrlDeleter {
  void operator()(CURLU* url) const { Curl().url_cleanup(url); }
};
using UrlPtr = std::unique_ptr<CURLU, UrlDeleter>;

// One part of the URL; empty when it has none.
std::string Part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (Curl().url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string copy(text);
  Curl().free(text);
  return copy;
}

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
  const UrlPtr url(Curl().url());
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
  result.text = Part(url.get(), CURLUPART_URL);
  while (absl::EndsWith(result.text, "/")) result.text.pop_back();
  absl::string_view host = result.server.host = Part(url.get(), CURLUPART_HOST);
  if (absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]")) {
    result.server.host = std::string(host);
  }
  int port = 0;
  if (!absl::SimpleAtoi(Part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT), &port) || port < 1 ||
      port > UINT16_MAX) {
    return bad("the port must be between 1 and 65535");
  }
  result.server.port = static_cast<uint16_t>(port);
  return result;
}

}  // namespace okms
