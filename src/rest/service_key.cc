// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "rest/service_key.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/uuid.h"
#include "rest/answer.h"

namespace okms::rest {
namespace {

constexpr std::size_t kMaxToken = 4096;

absl::Status NoSense(absl::string_view call, absl::string_view why) {
  return absl::DataLossError(absl::StrCat("REST ", call, ": ", why));
}

// A text field that must be there; it stays in the object. Null when it is not.
Json::string_t* TextField(Json& object, const char* field) {
  const auto found = object.find(field);
  return found == object.end() ? nullptr : found->get_ptr<Json::string_t*>();
}

// As Go's url.QueryEscape.
std::string QueryEscape(absl::string_view text) {
  std::string out;
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
        absl::string_view("-_.~").find(c) != absl::string_view::npos) {
      out.push_back(c);
    } else if (c == ' ') {
      out.push_back('+');
    } else {
      absl::StrAppend(&out, "%", absl::AsciiStrToUpper(absl::BytesToHexString({&c, 1})));
    }
  }
  return out;
}

absl::StatusOr<ServiceKey> ReadKey(absl::string_view call, Json& object) {
  ServiceKey key;
  if (!object.is_object()) return NoSense(call, "a key is no JSON object");
  const auto read = [&](const char* field, std::string& target) {
    Json::string_t* text = TextField(object, field);
    if (text != nullptr) target = std::move(*text);
    return text != nullptr;
  };
  std::string id;
  if (!read("id", id)) return NoSense(call, "\"id\" of a key is no text");
  if (!read("name", key.name)) return NoSense(call, "\"name\" of a key is no text");
  if (!read("type", key.type)) return NoSense(call, "\"type\" of a key is no text");
  const std::optional<std::string> canonical = ParseUuid(id);
  if (!canonical) {
    return NoSense(call, absl::StrCat("\"id\" of a key is no UUID: ", Printable(id, 80)));
  }
  key.id = *canonical;
  if (const auto attributes = object.find("attributes"); attributes != object.end()) {
    if (attributes->is_object() && attributes->contains("state")) {
      Json::string_t* state = TextField(*attributes, "state");
      if (state == nullptr) return NoSense(call, "\"state\" of a key is no text");
      key.state = std::move(*state);
    }
  }
  if (const auto operations = object.find("operations");
      operations != object.end() && !operations->is_null()) {
    key.operations.emplace();
    if (!operations->is_array()) return NoSense(call, "\"operations\" of a key is no list");
    for (Json& operation : *operations) {
      auto* text = operation.get_ptr<Json::string_t*>();
      if (text == nullptr) return NoSense(call, "an operation of a key is no text");
      key.operations->push_back(std::move(*text));
    }
  }
  return key;
}

absl::string_view Sent(const http::HttpRequest& request) {
  return request.body ? AsText(*request.body) : absl::string_view();
}

}  // namespace

ServiceKeyApi::ServiceKeyApi(absl::string_view base_url, absl::string_view okms_id)
    : keys_path_(absl::StrCat("/api/", okms_id, "/v1/servicekey")),
      place_(absl::StrCat("of --okms-id ", okms_id, " at --serv-addr ", base_url)) {}

absl::Status ServiceKeyApi::Located(const absl::Status& status) const {
  return absl::IsNotFound(status) ? Annotate(status, place_) : status;
}

http::HttpRequest ServiceKeyApi::List(absl::string_view token) const {
  if (token.empty()) return {absl::StrCat(keys_path_, "?state=active"), {}};
  return {absl::StrCat(keys_path_, "?continuation-token=", QueryEscape(token), "&state=active"),
          {}};
}

absl::StatusOr<ServiceKeyPage> ServiceKeyApi::ParseList(const http::HttpResponse& response) {
  constexpr char kCall[] = "list keys";
  OKMS_ASSIGN_OR_RETURN(Json answer, ParseAnswer(kCall, response, ""));
  ServiceKeyPage page;
  const auto objects = answer.find("objects_list");
  // null: as Go's JSON has an empty list.
  if (objects == answer.end() || !(objects->is_array() || objects->is_null())) {
    return NoSense(kCall, "\"objects_list\" is no list");
  }
  for (Json& object : *objects) {
    OKMS_ASSIGN_OR_RETURN(ServiceKey key, ReadKey(kCall, object));
    page.keys.push_back(std::move(key));
  }
  const auto truncated = answer.find("is_truncated");
  if (truncated == answer.end() || !truncated->is_boolean()) {
    return NoSense(kCall, "\"is_truncated\" is neither true nor false");
  }
  if (truncated->get<bool>()) {  // true: there is more
    Json::string_t* token = TextField(answer, "continuation_token");
    if (token == nullptr || token->empty()) {
      return NoSense(kCall,
                     "there are more keys, but \"continuation_token\" does not lead to them");
    }
    // It goes into a URL, and all of them are kept, to see one that comes again.
    if (token->size() > kMaxToken) {
      return NoSense(kCall, absl::StrCat("\"continuation_token\" has ", token->size(),
                                         " bytes, the limit is ", kMaxToken));
    }
    page.next = std::move(*token);
  }
  return page;
}

http::HttpRequest ServiceKeyApi::Get(const std::string& key_id) const {
  return {absl::StrCat(keys_path_, "/", key_id), {}};
}

absl::StatusOr<ServiceKey> ServiceKeyApi::ParseGet(const http::HttpResponse& response) {
  constexpr char kCall[] = "get key";
  OKMS_ASSIGN_OR_RETURN(Json answer, ParseAnswer(kCall, response, ""));
  return ReadKey(kCall, answer);
}

http::HttpRequest ServiceKeyApi::Encrypt(const std::string& key_id, const Secret& plaintext) const {
  std::string encoded = absl::Base64Escape(AsText(plaintext.Reveal()));
  WipedBytes body;
  const auto append = [&](absl::string_view text) {
    const ByteView bytes = AsBytes(text);
    body.insert(body.end(), bytes.begin(), bytes.end());
  };
  append(R"({"plaintext":")");
  append(encoded);  // nothing in it needs an escape
  append(R"("})");
  Wipe(encoded);
  return {absl::StrCat(keys_path_, "/", key_id, "/encrypt"), std::move(body), true};
}

absl::StatusOr<std::string> ServiceKeyApi::ParseEncrypt(const http::HttpResponse& response,
                                                        const http::HttpRequest& request) {
  constexpr char kCall[] = "encrypt";
  OKMS_ASSIGN_OR_RETURN(Json answer, ParseAnswer(kCall, response, Sent(request)));
  Json::string_t* ciphertext = TextField(answer, "ciphertext");
  if (ciphertext == nullptr) return NoSense(kCall, "the answer has no text in \"ciphertext\"");
  if (!IsPrintableAscii(*ciphertext)) {
    return NoSense(kCall, "\"ciphertext\" is empty, or not printable ASCII as a JWE is");
  }
  return std::move(*ciphertext);
}

http::HttpRequest ServiceKeyApi::Decrypt(const std::string& key_id,
                                         const std::string& ciphertext) const {
  const std::string text = Json{{"ciphertext", ciphertext}}.dump();
  const ByteView bytes = AsBytes(text);
  return {absl::StrCat(keys_path_, "/", key_id, "/decrypt"), WipedBytes(bytes.begin(), bytes.end()),
          true};
}

absl::StatusOr<Secret> ServiceKeyApi::ParseDecrypt(const http::HttpResponse& response,
                                                   const http::HttpRequest& request) {
  constexpr char kCall[] = "decrypt";
  // A request that the KMS does not take is the record's fault.
  OKMS_ASSIGN_OR_RETURN(
      Json answer, ParseAnswer(kCall, response, Sent(request), absl::StatusCode::kInvalidArgument));
  Json::string_t* encoded = TextField(answer, "plaintext");
  if (encoded == nullptr) return NoSense(kCall, "the answer has no text in \"plaintext\"");
  std::string decoded;
  const bool valid = absl::Base64Unescape(*encoded, &decoded);
  Secret plaintext{AsBytes(decoded)};
  Wipe(decoded);
  Wipe(*encoded);
  if (!valid) return NoSense(kCall, "\"plaintext\" is no base64");
  return plaintext;
}

bool IsPrintableAscii(absl::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace okms::rest
