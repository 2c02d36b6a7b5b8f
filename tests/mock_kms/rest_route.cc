// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "mock_kms/rest_route.h"

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"

namespace okms::test {
namespace {

// nullopt when a "%" is not followed by two digits. In a query "+" is a space (the form encoding
// of HTML), in a path it is itself (RFC 3986).
std::optional<std::string> Decode(absl::string_view text, bool query) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && query) {
      decoded.push_back(' ');
    } else if (text[i] != '%') {
      decoded.push_back(text[i]);
    } else {
      if (text.size() - i < 3 || !absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 1])) ||
          !absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 2]))) {
        return std::nullopt;
      }
      decoded += absl::HexStringToBytes(text.substr(i + 1, 2));
      i += 2;
    }
  }
  return decoded;
}

void ParseQuery(absl::string_view text, RestRoute& route) {
  for (const absl::string_view parameter : absl::StrSplit(text, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(parameter, absl::MaxSplits('=', 1));
    const auto name = Decode(pair.first, /*query=*/true);
    const auto value = Decode(pair.second, /*query=*/true);
    if (!name || !value || !route.query.emplace(*name, *value).second) {
      route.query_is_sound = false;
    }
  }
}

}  // namespace

absl::string_view ToString(RestCall call) {
  switch (call) {
    case RestCall::kList: return "list";
    case RestCall::kGet: return "get";
    case RestCall::kEncrypt: return "encrypt";
    case RestCall::kDecrypt: return "decrypt";
  }
  return "";
}

std::optional<RestRoute> RouteOf(absl::string_view target) {
  const std::pair<absl::string_view, absl::string_view> halves =
      absl::StrSplit(target, absl::MaxSplits('?', 1));
  std::vector<std::string> parts;
  for (const absl::string_view part : absl::StrSplit(halves.first, '/')) {
    auto decoded = Decode(part, /*query=*/false);
    if (!decoded) return std::nullopt;
    parts.push_back(*std::move(decoded));
  }
  // "", "api", okmsId, "v1", "servicekey"[, keyId[, "encrypt" or "decrypt"]]
  if (parts.size() < 5 || parts.size() > 7 || !parts[0].empty() || parts[1] != "api" ||
      parts[3] != "v1" || parts[4] != "servicekey") {
    return std::nullopt;
  }
  RestRoute route{.call = RestCall::kList, .okms_id = parts[2], .key_id = {}, .query = {}};
  if (parts.size() >= 6) {
    route.call = RestCall::kGet;
    route.key_id = parts[5];
  }
  if (parts.size() == 7) {
    if (parts[6] != "encrypt" && parts[6] != "decrypt") return std::nullopt;
    route.call = parts[6] == "encrypt" ? RestCall::kEncrypt : RestCall::kDecrypt;
  }
  ParseQuery(halves.second, route);
  return route;
}

absl::string_view MethodOf(RestCall call) {
  return call == RestCall::kEncrypt || call == RestCall::kDecrypt ? "POST" : "GET";
}

std::optional<RestCall> CallOf(const RestRequest& request) {
  const std::optional<RestRoute> route = RouteOf(request.target);
  if (!route || request.method != MethodOf(route->call)) return std::nullopt;
  return route->call;
}

}  // namespace okms::test
