// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// libcurl's URL, with an owner.

#ifndef OKMS_HTTP_CURL_URL_H_
#define OKMS_HTTP_CURL_URL_H_

#include <memory>
#include <string>

#include "absl/strings/strip.h"
#include "http/libcurl.h"

namespace okms::http {

struct CurlUrlDeleter {
  void operator()(CURLU* url) const { Curl().url_cleanup(url); }
};
using CurlUrlPtr = std::unique_ptr<CURLU, CurlUrlDeleter>;

// One part of the URL; empty when it has none.
inline std::string UrlPart(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (Curl().url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string copy(text);
  Curl().free(text);
  return copy;
}

// Its host, an IPv6 address without the brackets.
inline std::string UrlHost(CURLU* url, unsigned flags = 0) {
  const std::string host = UrlPart(url, CURLUPART_HOST, flags);
  absl::string_view bare = host;
  if (absl::ConsumePrefix(&bare, "[") && absl::ConsumeSuffix(&bare, "]")) return std::string(bare);
  return host;
}

}  // namespace okms::http

#endif  // OKMS_HTTP_CURL_URL_H_
