// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Any bytes as the answer of a KMS over REST: the first one chooses the status code, the second one
// the fields of the head, and the rest is the body. It is understood, or refused in one printable
// line of bounded length that does not repeat what was sent.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/status.h"
#include "base/uuid.h"
#include "fuzz/require.h"
#include "rest/answer.h"
#include "rest/service_key.h"

namespace okms::rest {
namespace {

constexpr std::array kStatuses{200, 400, 401, 403, 404, 409, 429, 500, 501, 503, 204, 307, 0, 599};
constexpr std::array kTypes{"application/json", "application/json; charset=utf-8", "text/html", ""};
// Longer than any message whose every part is as long as it may be.
constexpr std::size_t kLongestMessage = 2500;

struct Sent {
  ServiceKeyApi api{"https://kms", "0123abcd-4567-89ef-0123-456789abcdef"};
  http::HttpRequest encrypt = api.Encrypt("11111111-2222-3333-4444-555555555555",
                                          Secret(AsBytes("0123456789abcdef0123456789abcdef")));
  http::HttpRequest decrypt =
      api.Decrypt("11111111-2222-3333-4444-555555555555",
                  "eyJhbGciOiJkaXIifQ..48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ.XFB");
};

http::HttpResponse Response(ByteView input) {
  http::HttpResponse response;
  response.status = kStatuses[input[0] % kStatuses.size()];
  response.content_type = kTypes[input[1] % kTypes.size()];
  if (input[1] & 0x40) response.content_encoding = "gzip";
  if (input[1] & 0x80) response.retry_after = std::chrono::seconds(input[1]);
  const ByteView body = input.subspan(2);
  if (response.status == 307) response.location = std::string(AsText(body));
  response.body.assign(body.begin(), body.end());
  return response;
}

bool IsPrintable(absl::string_view text) {
  for (const char c : text) {
    if (c < 0x20 || c > 0x7e) return false;
  }
  return true;
}

void RequireNothingOf(const http::HttpRequest& request, absl::string_view message) {
  constexpr std::size_t kPart = 16;
  const absl::string_view sent = AsText(*request.body);
  for (std::size_t i = 0; i + kPart <= sent.size(); ++i) {
    OKMS_REQUIRE(message.find(sent.substr(i, kPart)) == absl::string_view::npos);
  }
}

// What holds for every error.
void CheckError(const http::HttpResponse& response, const absl::Status& status) {
  const std::string message = Message(status);
  OKMS_REQUIRE(!message.empty() && message.size() <= kLongestMessage);
  OKMS_REQUIRE(IsPrintable(message));
  if (response.status == 200) {
    OKMS_REQUIRE(status.code() == absl::StatusCode::kDataLoss);
  } else {
    OKMS_REQUIRE(status.code() != absl::StatusCode::kDataLoss);
  }
}

// What holds for every result of a Parse function: only a 200 in JSON as it is can be one.
template <typename T>
bool CheckResult(const http::HttpResponse& response, const absl::StatusOr<T>& result) {
  if (!result.ok()) {
    CheckError(response, result.status());
    return false;
  }
  OKMS_REQUIRE(response.status == 200 && response.content_encoding.empty());
  OKMS_REQUIRE(response.content_type.find("json") != std::string::npos);
  return true;
}

void CheckKey(const ServiceKey& key) { OKMS_REQUIRE(ParseUuid(key.id) == key.id); }

void Check(ByteView input) {
  static const Sent sent;
  const http::HttpResponse response = Response(input);
  CheckResult(response, ParseAnswer("call", response, ""));
  const auto list = ServiceKeyApi::ParseList(response);
  if (CheckResult(response, list)) {
    for (const ServiceKey& key : list->keys) CheckKey(key);
    OKMS_REQUIRE(IsPrintable(sent.api.List(list->next).path));
  }
  const auto key = ServiceKeyApi::ParseGet(response);
  if (CheckResult(response, key)) CheckKey(*key);
  const auto ciphertext = ServiceKeyApi::ParseEncrypt(response, sent.encrypt);
  if (CheckResult(response, ciphertext)) {
    OKMS_REQUIRE(IsPrintableAscii(*ciphertext));
    OKMS_REQUIRE(sent.api.Decrypt("k", *ciphertext).body->size() >= ciphertext->size());
  } else {
    RequireNothingOf(sent.encrypt, Message(ciphertext.status()));
  }
  const auto plaintext = ServiceKeyApi::ParseDecrypt(response, sent.decrypt);
  if (!CheckResult(response, plaintext)) {
    RequireNothingOf(sent.decrypt, Message(plaintext.status()));
  }
}

}  // namespace
}  // namespace okms::rest

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size >= 2) okms::rest::Check({data, size});
  return 0;
}
