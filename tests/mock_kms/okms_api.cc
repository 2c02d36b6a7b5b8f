// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "mock_kms/okms_api.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "mock_kms/base64.h"
#include "mock_kms/jwe.h"
#include "mock_kms/rest_error.h"

namespace okms::test {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// The limits of the description.
constexpr std::size_t kMaxText = 5464;  // of a plaintext in base64, and of a ciphertext
constexpr std::size_t kMaxContext = 64;
constexpr std::size_t kMinPage = 10;
constexpr std::size_t kMaxPage = 100;

RestResponse Ok(const ordered_json& body) {
  return {.status = 200,
          .content_type = "application/json",
          .body = body.dump(-1, ' ', false, ordered_json::error_handler_t::replace)};
}

// 8-4-4-4-12 hexadecimal digits of either case.
bool IsUuid(absl::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !absl::ascii_isxdigit(static_cast<unsigned char>(text[i]))) {
      return false;
    }
  }
  return true;
}

std::string StateName(kmip::State state) {
  switch (state) {
    case kmip::State::kPreActive: return "pre_active";
    case kmip::State::kActive: return "active";
    case kmip::State::kDeactivated: return "deactivated";
    case kmip::State::kCompromised: return "compromised";
    case kmip::State::kDestroyed: return "destroyed";
    case kmip::State::kDestroyedCompromised: return "destroyed_compromised";
  }
  return "";
}

bool IsStateName(absl::string_view name) {
  for (uint32_t state = 1; state <= 6; ++state) {
    if (StateName(static_cast<kmip::State>(state)) == name) return true;
  }
  return name == "all";
}

ordered_json Describe(const MockKey& key) {
  const bool symmetric = key.object_type == kmip::ObjectType::kSymmetricKey;
  const std::string id = absl::AsciiStrToLower(key.id);
  ordered_json operations = ordered_json::array();
  if ((key.usage_mask & kmip::kUsageEncrypt) != 0) operations.push_back("encrypt");
  if ((key.usage_mask & kmip::kUsageDecrypt) != 0) operations.push_back("decrypt");
  return {{"id", id},
          {"name", key.name.empty() ? id : key.name},  // a name is never empty
          {"type", symmetric ? "oct" : "RSA"},
          {"operations", operations},
          {"size", symmetric ? key.material.size() * 8 : 2048},
          {"protectionLevel", "SOFTWARE"},
          {"attributes", {{"state", StateName(key.state)}}}};
}

// A token names the last key of its page, so that a key that comes or goes meanwhile harms none of
// the others. The bytes around the id make each token hold "+", "/" and "=", which only a client
// that escapes them gets across.
constexpr absl::string_view kTokenMark = "\xFB\xFF\xFE\xFF";

std::string TokenAfter(absl::string_view id) {
  return Base64(AsBytes(absl::StrCat(kTokenMark, id)));
}

std::optional<std::string> IdOfToken(absl::string_view token) {
  const std::optional<std::string> decoded = FromBase64(token);
  if (!decoded) return std::nullopt;
  absl::string_view id = *decoded;
  if (!absl::ConsumePrefix(&id, kTokenMark) || !IsUuid(id)) return std::nullopt;
  return std::string(id);
}

// The description counts characters, not bytes.
std::size_t Characters(absl::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string MediaType(const RestRequest& request) {
  const std::vector<std::string> parts =
      absl::StrSplit(request.Header("Content-Type"), absl::MaxSplits(';', 1));
  return absl::AsciiStrToLower(absl::StripAsciiWhitespace(parts[0]));
}

// An object with the text `field`, perhaps a `context`, and nothing else.
std::variant<RestResponse, json> ParseBody(const RestRequest& request, absl::string_view field) {
  const auto bad = [](auto... why) { return RestError(400, {absl::StrCat(why...)}); };
  if (MediaType(request) != "application/json") return bad("the body is not application/json");
  json body = json::parse(request.body, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) return bad("the body is no JSON object");
  for (const auto& [name, value] : body.items()) {
    if (name == field) {
      if (!value.is_string()) return bad(name, " is no string");
      const std::size_t size = Characters(value.get_ref<const std::string&>());
      if (size < 1 || size > kMaxText) return bad(name, " has not 1 to ", kMaxText, " characters");
    } else if (name == "context") {
      if (!value.is_string() && !value.is_null()) return bad(name, " is no string");
      if (value.is_string() && Characters(value.get_ref<const std::string&>()) > kMaxContext) {
        return bad(name, " has more than ", kMaxContext, " characters");
      }
    } else {
      return bad("unknown field ", name);
    }
  }
  if (!body.contains(field)) return bad(field, " is missing");
  return body;
}

JweBinding BindingOf(const MockKey& key, const json& body) {
  JweBinding binding{.kid = absl::AsciiStrToLower(key.id)};
  const auto context = body.find("context");
  if (context != body.end() && context->is_string()) binding.context = context->get<std::string>();
  return binding;
}

}  // namespace

RestResponse OkmsApi::Answer(const RestRequest& request) const {
  const std::optional<RestRoute> route = RouteOf(request.target);
  if (!route) return RestError(404, {"no such resource"});
  if (request.method != MethodOf(route->call)) {
    RestResponse response = RestError(405, {"no such method here"});
    response.headers.emplace_back("Allow", MethodOf(route->call));
    return response;
  }
  if (!IsUuid(route->okms_id)) return RestError(400, {"the OKMS id is no UUID"});
  if (!absl::EqualsIgnoreCase(route->okms_id, okms_id_)) {
    return RestError(404, {absl::StrCat("no OKMS ", route->okms_id)});
  }
  if (route->call != RestCall::kList && !IsUuid(route->key_id)) {
    return RestError(400, {"the key id is no UUID"});
  }
  if (!route->query_is_sound) return RestError(400, {"the query is malformed"});
  if (route->call == RestCall::kList) return List(*route);
  if (route->call == RestCall::kGet) return Get(*route);
  const bool encrypt = route->call == RestCall::kEncrypt;
  const auto body = ParseBody(request, encrypt ? "plaintext" : "ciphertext");
  if (const auto* refusal = std::get_if<RestResponse>(&body)) return *refusal;
  return encrypt ? Encrypt(*route, std::get<json>(body)) : Decrypt(*route, std::get<json>(body));
}

RestResponse OkmsApi::List(const RestRoute& route) const {
  std::size_t max = kMaxPage;
  std::string state = "all";
  std::string after;
  for (const auto& [name, value] : route.query) {
    if (name == "state") {
      if (!IsStateName(value)) return RestError(400, {"no such state"});
      state = value;
    } else if (name == "max") {
      if (!absl::SimpleAtoi(value, &max) || max < kMinPage || max > kMaxPage) {
        return RestError(400, {"max is no number from 10 to 100"});
      }
    } else if (name == "continuation-token") {
      const std::optional<std::string> id = IdOfToken(value);
      if (!id) return RestError(400, {"no such continuation token"});
      after = *id;
    }
  }
  std::vector<MockKey> keys;
  for (MockKey& key : keys_.List()) {
    if (!IsUuid(key.id) || (state != "all" && StateName(key.state) != state)) continue;
    key.id = absl::AsciiStrToLower(key.id);
    if (key.id > after) keys.push_back(std::move(key));
  }
  std::sort(keys.begin(), keys.end(),
            [](const MockKey& a, const MockKey& b) { return a.id < b.id; });
  const std::size_t size = std::min({keys.size(), max, page_size_});
  ordered_json objects = ordered_json::array();
  for (std::size_t i = 0; i < size; ++i) objects.push_back(Describe(keys[i]));
  const std::string nil = "00000000-0000-0000-0000-000000000000";
  return Ok({{"objects_list", objects},
             {"continuation_token", TokenAfter(size > 0         ? keys[size - 1].id
                                               : !after.empty() ? after
                                                                : nil)},
             {"is_truncated", size < keys.size()}});
}

RestResponse OkmsApi::Get(const RestRoute& route) const {
  // Key material never leaves this KMS, so a key is the same in every format.
  const auto format = route.query.find("format");
  if (format != route.query.end() && format->second != "jwk") {
    return RestError(400, {"no such format"});
  }
  const auto found = Find(route);
  if (const auto* refusal = std::get_if<RestResponse>(&found)) return *refusal;
  return Ok(Describe(std::get<MockKey>(found)));
}

RestResponse OkmsApi::Encrypt(const RestRoute& route, const json& body) const {
  const auto plaintext = FromBase64(body["plaintext"].get_ref<const std::string&>());
  if (!plaintext) return RestError(400, {"plaintext is no base64"});
  const auto found = FindUsable(route, kmip::kUsageEncrypt);
  if (const auto* refusal = std::get_if<RestResponse>(&found)) return *refusal;
  const MockKey& key = std::get<MockKey>(found);
  const auto jwe = JweEncrypt(AsBytes(key.material), BindingOf(key, body), AsBytes(*plaintext));
  if (!jwe.ok()) return RestError(500, {std::string(jwe.status().message())});
  return Ok({{"ciphertext", *jwe}});
}

RestResponse OkmsApi::Decrypt(const RestRoute& route, const json& body) const {
  const auto found = FindUsable(route, kmip::kUsageDecrypt);
  if (const auto* refusal = std::get_if<RestResponse>(&found)) return *refusal;
  const MockKey& key = std::get<MockKey>(found);
  const auto plaintext = JweDecrypt(AsBytes(key.material), BindingOf(key, body),
                                    body["ciphertext"].get_ref<const std::string&>());
  if (!plaintext.ok()) return RestError(400, {std::string(plaintext.status().message())});
  return Ok({{"plaintext", Base64(AsBytes(*plaintext))}});
}

OkmsApi::Result<MockKey> OkmsApi::Find(const RestRoute& route) const {
  std::optional<MockKey> key = keys_.FindIgnoringCase(route.key_id);
  if (!key) return RestError(404, {absl::StrCat("no service key ", route.key_id)});
  return *std::move(key);
}

OkmsApi::Result<MockKey> OkmsApi::FindUsable(const RestRoute& route, int32_t usage) const {
  auto found = Find(route);
  const auto* key = std::get_if<MockKey>(&found);
  if (key == nullptr) return found;
  if (key->state != kmip::State::kActive) {
    return RestError(400, {absl::StrCat("the service key is ", StateName(key->state))});
  }
  if (key->object_type != kmip::ObjectType::kSymmetricKey || (key->usage_mask & usage) == 0) {
    return RestError(400, {"the operations of the service key do not include this one"});
  }
  return found;
}

}  // namespace okms::test
