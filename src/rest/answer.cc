// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "rest/answer.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status.h"

namespace okms::rest {
namespace {

Json Parse(const WipedBytes& body) {
  // Discarded, rather than thrown, when it is no JSON.
  return Json::parse(body.begin(), body.end(), nullptr, /*allow_exceptions=*/false);
}

bool IsJson(const http::HttpResponse& response) {
  return absl::StrContains(absl::AsciiStrToLower(response.content_type), "json");
}

absl::string_view Text(const Json& object, const char* field) {
  const auto found = object.find(field);
  if (found == object.end() || !found->is_string()) return "";
  return found->get_ref<const std::string&>();
}

// Whether the text holds any 16 bytes in a row of what was sent. Both may be long, so each is gone
// through once.
bool Repeats(absl::string_view text, absl::string_view sent) {
  constexpr std::size_t kPart = 16;
  std::unordered_set<std::string_view> parts;
  for (std::size_t i = 0; i + kPart <= text.size(); ++i) parts.emplace(text.data() + i, kPart);
  for (std::size_t i = 0; i + kPart <= sent.size(); ++i) {
    if (parts.count({sent.data() + i, kPart}) != 0) return true;
  }
  return false;
}

// A peer's text as it may be shown. Cut first: it may be as long as an answer can be, and only what
// is shown can give the request away.
std::string Shown(absl::string_view text, absl::string_view sent, std::size_t limit) {
  return Repeats(text.substr(0, limit), sent) ? "(a text that repeats the request)"
                                              : Printable(text, limit);
}

// The fields of an error code, as OVHcloud's SDK reads them: system, component, category, number.
std::string CodeText(int64_t signed_code) {
  constexpr std::array kSystems{"", "CCM", "SSM", "REST", "KMIP", "DB", "XLIB"};
  constexpr std::array kCategories{
      "",         "Internal",    "Argument",     "Authentication",    "Authorization", "Not Found",
      "Database", "Unavailable", "Bad Argument", "Too many requests", "Conflict"};
  const auto code = static_cast<uint32_t>(signed_code);
  const uint32_t system = code >> 24;
  const uint32_t category = code >> 12 & 0xF;
  std::string text = absl::StrFormat("code 0x%08X", code);
  if (system > 0 && system < kSystems.size()) absl::StrAppend(&text, ", ", kSystems[system]);
  if (category > 0 && category < kCategories.size()) {
    absl::StrAppend(&text, ", ", kCategories[category]);
  }
  return text;
}

absl::string_view ReasonPhrase(int status) {
  switch (status) {
    case 400: return " Bad Request";
    case 401: return " Unauthorized";
    case 403: return " Forbidden";
    case 404: return " Not Found";
    case 405: return " Method Not Allowed";
    case 409: return " Conflict";
    case 429: return " Too Many Requests";
    case 500: return " Internal Server Error";
    case 501: return " Not Implemented";
    case 502: return " Bad Gateway";
    case 503: return " Service Unavailable";
    case 504: return " Gateway Timeout";
    default: return "";
  }
}

absl::StatusCode CodeFor(int status, absl::StatusCode bad_request) {
  switch (status) {
    case 400: return bad_request;
    case 401: return absl::StatusCode::kUnauthenticated;
    case 403: return absl::StatusCode::kPermissionDenied;
    case 404: return absl::StatusCode::kNotFound;
    case 429: return absl::StatusCode::kUnavailable;
    case 501: return absl::StatusCode::kFailedPrecondition;
    default:
      return status >= 500 ? absl::StatusCode::kUnavailable : absl::StatusCode::kFailedPrecondition;
  }
}

// What an ErrorResponse says: in `message` what stays the same for the same reason, in `detail`
// what names this one failure.
void Explain(const http::HttpResponse& response, absl::string_view sent, std::string& message,
             std::vector<std::string>& detail) {
  const Json body = IsJson(response) ? Parse(response.body) : Json();
  if (!body.is_object()) {
    // Of a proxy, perhaps. What it says stays out: it is long, and not ours to trust.
    if (!response.body.empty()) {
      absl::StrAppend(
          &message, ", with a body of type ",
          response.content_type.empty() ? "(none)" : Shown(response.content_type, sent, 80));
    }
    return;
  }
  std::vector<std::string> texts;
  if (const auto errors = body.find("errors"); errors != body.end() && errors->is_array()) {
    for (const Json& error : *errors) {
      if (!error.is_string()) continue;
      const auto& text = error.get_ref<const std::string&>();
      texts.push_back(Shown(text, sent, 300));
      if (texts.size() == 4) break;
    }
  }
  if (!texts.empty()) absl::StrAppend(&message, ": ", absl::StrJoin(texts, "; "));
  if (const auto code = body.find("error_code"); code != body.end() && code->is_number_integer()) {
    absl::StrAppend(&message, " (", CodeText(code->get<int64_t>()), ")");
  }
  constexpr std::size_t kMaxId = 80;
  const auto add_id = [&](const char* field, absl::string_view name) {
    const absl::string_view id = Text(body, field);
    if (!id.empty() && !Repeats(id.substr(0, kMaxId), sent)) {
      detail.push_back(absl::StrCat(name, Printable(id, kMaxId)));
    }
  };
  add_id("request_id", "request id ");
  add_id("error_id", "error id ");
}

absl::Status Refusal(absl::string_view call, const http::HttpResponse& response,
                     absl::string_view sent, absl::StatusCode bad_request) {
  std::string message = absl::StrCat("REST ", call);
  std::vector<std::string> detail;
  if (response.status >= 300 && response.status < 400) {
    absl::StrAppend(&message, ": HTTP ", response.status, ": the KMS redirects to ",
                    response.location.empty() ? "nowhere" : Shown(response.location, sent, 200),
                    "; the client certificate follows no redirect: correct --serv-addr");
  } else {
    absl::StrAppend(&message, response.status < 300 ? ": unexpected HTTP " : " refused: HTTP ",
                    response.status, ReasonPhrase(response.status));
    Explain(response, sent, message, detail);
  }
  if (response.retry_after) {
    detail.push_back(absl::StrCat("to be tried again after ", response.retry_after->count(), " s"));
  }
  absl::Status status(CodeFor(response.status, bad_request), message);
  return detail.empty() ? status : WithDetail(std::move(status), absl::StrJoin(detail, ", "));
}

}  // namespace

absl::StatusOr<Json> ParseAnswer(absl::string_view call, const http::HttpResponse& response,
                                 absl::string_view sent, absl::StatusCode bad_request) {
  if (response.status != 200) return Refusal(call, response, sent, bad_request);
  const auto no_sense = [&](auto... why) {
    return absl::DataLossError(absl::StrCat("REST ", call, ": ", why...));
  };
  if (!response.content_encoding.empty() &&
      !absl::EqualsIgnoreCase(response.content_encoding, "identity")) {
    return no_sense("the answer is encoded (", Shown(response.content_encoding, sent, 40),
                    "), which was not asked for; a proxy on the way, perhaps");
  }
  if (response.body.empty()) return no_sense("HTTP 200 with an empty body");
  if (!IsJson(response)) {
    return no_sense(
        "the answer is no JSON but of type ",
        response.content_type.empty() ? "(none)" : Shown(response.content_type, sent, 80),
        "; check that --serv-addr is the KMS's REST API");
  }
  Json body = Parse(response.body);
  if (body.is_discarded()) return no_sense("the answer is no valid JSON");
  if (!body.is_object()) return no_sense("the answer is JSON, but no object");
  return body;
}

}  // namespace okms::rest
