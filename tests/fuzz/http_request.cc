// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Any bytes as a request for a status page, whole and in two parts, as they may come: there is one
// answer at most, well formed and without a byte of what was sent, the same for both ways; and only
// GET and HEAD reach a page.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "base/secret.h"
#include "control/http_request.h"
#include "fuzz/require.h"

namespace okms {
namespace {

struct Result {
  std::string answer;
  int asked = 0;
};

Result Ask(absl::string_view first, absl::string_view second) {
  Result result;
  const HttpPages pages = [&](std::string_view path) -> HttpReply {
    ++result.asked;
    OKMS_REQUIRE(path.size() <= HttpRequest::kMostBytes);
    OKMS_REQUIRE(path.find('?') == std::string_view::npos);
    return {200, "text/plain", "page"};
  };
  HttpRequest request;
  result.answer = request.Take(first, pages);
  if (result.answer.empty()) result.answer = request.Take(second, pages);
  return result;
}

// Of an answer, without the line that tells the time.
std::string Timeless(const std::string& answer) {
  const std::size_t date = answer.find("Date: ");
  const std::size_t end = answer.find("\r\n", date);
  return answer.substr(0, date) + answer.substr(end);
}

void CheckAnswer(absl::string_view input, const Result& result) {
  const absl::string_view answer = result.answer;
  OKMS_REQUIRE(absl::StartsWith(answer, "HTTP/1.1 "));
  int status = 0;
  OKMS_REQUIRE(absl::SimpleAtoi(answer.substr(9, 3), &status));
  OKMS_REQUIRE(status == 200 || status == 400 || status == 405 || status == 431);
  const std::size_t head = answer.find("\r\n\r\n");
  OKMS_REQUIRE(head != absl::string_view::npos);
  const bool page = status == 200;
  OKMS_REQUIRE(result.asked == (page ? 1 : 0));
  OKMS_REQUIRE(!page || absl::StartsWith(input, "GET ") || absl::StartsWith(input, "HEAD "));
  const absl::string_view body = answer.substr(head + 4);
  OKMS_REQUIRE(!page || body == (input[0] == 'G' ? "page" : ""));
  OKMS_REQUIRE(page || !body.empty());
}

void Check(absl::string_view input) {
  const Result whole = Ask(input, "");
  if (whole.answer.empty()) {
    OKMS_REQUIRE(whole.asked == 0);
    OKMS_REQUIRE(input.size() < HttpRequest::kMostBytes);
  } else {
    CheckAnswer(input, whole);
  }
  const std::size_t half = input.empty() ? 0 : static_cast<uint8_t>(input.back()) % input.size();
  const Result parts = Ask(input.substr(0, half), input.substr(half));
  if (!parts.answer.empty()) CheckAnswer(input, parts);
  // A head that fits, and what is in it, is the same however it comes. (One that just does not may
  // be too long, or no request, by where it was cut.)
  if (input.size() < HttpRequest::kMostBytes && !whole.answer.empty() && !parts.answer.empty()) {
    OKMS_REQUIRE(Timeless(whole.answer) == Timeless(parts.answer));
  }
}

}  // namespace
}  // namespace okms

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  okms::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
