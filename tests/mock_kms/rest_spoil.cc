// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "mock_kms/rest_spoil.h"

#include <zlib.h>

#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "mock_kms/base64.h"
#include "mock_kms/random.h"
#include "mock_kms/rest_error.h"

namespace okms::test {
namespace {

using nlohmann::ordered_json;

constexpr char kJson[] = "application/json";
constexpr char kHtml[] = "text/html";
constexpr std::size_t kOversize = std::size_t{2} << 20;
constexpr std::size_t kBigCiphertext = 1500;

RestResponse Page(int status) {
  return {.status = status,
          .content_type = kHtml,
          .body = absl::StrCat("<html><body><h1>", status, "</h1></body></html>\n")};
}

std::string WrongTypes(std::optional<RestCall> call) {
  if (!call) return R"({"wrong": 1})";
  switch (*call) {
    case RestCall::kList:
      return R"({"objects_list": 1, "continuation_token": 1, "is_truncated": 1})";
    case RestCall::kGet:
      return R"({"id": 1, "name": 1, "type": 1, "protectionLevel": 1, "attributes": 1})";
    case RestCall::kEncrypt: return R"({"ciphertext": 1})";
    case RestCall::kDecrypt: return R"({"plaintext": 1})";
  }
  return "";
}

// The gzip format (RFC 1952); empty when zlib fails.
std::string Gzip(const std::string& text) {
  constexpr int kGzipWindow = 15 + 16;  // zlib's way to ask for a gzip head
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return "";
  }
  std::string input = text;
  std::string output(deflateBound(&stream, input.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(output.data());
  stream.avail_out = static_cast<uInt>(output.size());
  const bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  output.resize(done ? stream.total_out : 0);
  deflateEnd(&stream);
  return output;
}

void SpoilOtherKey(ordered_json& answer) {
  if (answer.contains("id")) answer["id"] = kOtherKeyId;
  if (answer.contains("objects_list")) {
    for (ordered_json& object : answer["objects_list"]) object["id"] = kOtherKeyId;
  }
  if (answer.contains("ciphertext")) {
    // A token whose head names another key: it decrypts under neither.
    const std::pair<std::string, std::string> jwe =
        absl::StrSplit(answer["ciphertext"].get<std::string>(), absl::MaxSplits('.', 1));
    ordered_json header =
        ordered_json::parse(FromBase64Url(jwe.first).value_or(""), nullptr, false);
    header["kid"] = kOtherKeyId;
    answer["ciphertext"] = absl::StrCat(Base64Url(AsBytes(header.dump())), ".", jwe.second);
  }
}

void SpoilData(ordered_json& answer) {
  if (!answer.contains("plaintext")) return;
  std::string bytes = FromBase64(answer["plaintext"].get<std::string>()).value_or("");
  if (!bytes.empty()) bytes[0] = static_cast<char>(bytes[0] ^ 1);
  answer["plaintext"] = Base64(AsBytes(bytes));
}

void SpoilList(RestFaultKind kind, ordered_json& answer) {
  if (!answer.contains("is_truncated")) return;
  const bool last = answer["is_truncated"] == false;
  switch (kind) {
    case RestFaultKind::kEndless:
      answer["is_truncated"] = true;
      answer["continuation_token"] = absl::Base64Escape(RandomBytes(32));
      break;
    case RestFaultKind::kSameToken:
      answer["is_truncated"] = true;
      answer["continuation_token"] = "the-same+/=";
      break;
    case RestFaultKind::kEmptyToken:
      if (last) answer["continuation_token"] = "";
      break;
    case RestFaultKind::kNullToken:
      if (last) answer["continuation_token"] = nullptr;
      break;
    case RestFaultKind::kNoToken:
      if (last) answer.erase("continuation_token");
      break;
    default: break;
  }
}

}  // namespace

std::optional<RestResponse> Substitute(const RestFault& fault, std::optional<RestCall> call,
                                       const RestRequest& request) {
  switch (fault.kind) {
    case RestFaultKind::kStatus: return RestError(fault.status, {"told to"});
    case RestFaultKind::kRetryAfter: {
      RestResponse response = RestError(fault.status, {"too many requests, told to say"});
      response.headers.emplace_back("Retry-After", fault.value);
      return response;
    }
    case RestFaultKind::kPlainError: return Page(fault.status);
    case RestFaultKind::kEcho: return RestError(400, {"cannot take this:", request.body});
    case RestFaultKind::kRedirect:
      return RestResponse{.status = 307, .headers = {{"Location", fault.value}}};
    case RestFaultKind::kNoContent: return RestResponse{.status = 204};
    case RestFaultKind::kEmpty: return RestResponse{.status = 200};
    case RestFaultKind::kNotJson: return Page(200);
    case RestFaultKind::kBadJson:
      return RestResponse{.content_type = kJson, .body = R"({"ciphertext": "abc)"};
    case RestFaultKind::kWrongType:
      return RestResponse{.content_type = kJson, .body = WrongTypes(call)};
    case RestFaultKind::kNoField: return RestResponse{.content_type = kJson, .body = "{}"};
    case RestFaultKind::kBigCiphertext:
      if (call != RestCall::kEncrypt) return std::nullopt;
      return RestResponse{
          .content_type = kJson,
          .body = ordered_json{{"ciphertext", std::string(kBigCiphertext, 'A')}}.dump()};
    default: return std::nullopt;
  }
}

RestRequest BeforeSpoiling(const RestFault& fault, const RestRequest& request) {
  RestRequest before = request;
  if ((fault.kind == RestFaultKind::kEndless || fault.kind == RestFaultKind::kSameToken) &&
      CallOf(request) == RestCall::kList) {
    const std::pair<std::string, std::string> halves =
        absl::StrSplit(request.target, absl::MaxSplits('?', 1));
    std::vector<std::string> kept = absl::StrSplit(halves.second, '&', absl::SkipEmpty());
    std::erase_if(kept, [](const std::string& parameter) {
      return absl::StartsWith(parameter, "continuation-token=");
    });
    before.target = absl::StrCat(halves.first, "?", absl::StrJoin(kept, "&"));
  }
  return before;
}

void Spoil(const RestFault& fault, std::optional<RestCall> call, RestResponse& response) {
  if (response.status != 200) return;
  switch (fault.kind) {
    case RestFaultKind::kOversize:
      // Before the last brace: JSON all the same.
      response.body.insert(response.body.size() - 1, kOversize - response.body.size(), ' ');
      return;
    case RestFaultKind::kGzip:
      response.body = Gzip(response.body);
      response.headers.emplace_back("Content-Encoding", "gzip");
      return;
    default: break;
  }
  ordered_json answer = ordered_json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object()) return;
  if (fault.kind == RestFaultKind::kOtherKey) SpoilOtherKey(answer);
  if (fault.kind == RestFaultKind::kWrongData) SpoilData(answer);
  if (call == RestCall::kList) SpoilList(fault.kind, answer);
  response.body = answer.dump();
}

}  // namespace okms::test
