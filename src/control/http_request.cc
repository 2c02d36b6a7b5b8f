// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/http_request.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/system/error_code.hpp>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/debug.h"
#include "base/status.h"

namespace okms {
namespace {

namespace http = boost::beast::http;

// Nothing that the peer sent is in it.
HttpReply Plain(int status, absl::string_view line) {
  return {status, "text/plain; charset=utf-8", absl::StrCat(line, "\n")};
}

// RFC 9112 section 4. What is there may change with each second: nobody is to keep it.
std::string Answer(const HttpReply& reply, bool with_body) {
  const auto reason =
      http::obsolete_reason(http::int_to_status(static_cast<unsigned>(reply.status)));
  return absl::StrCat(
      "HTTP/1.1 ", reply.status, " ", absl::string_view(reason.data(), reason.size()),
      "\r\nDate: ", absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::Now(), absl::UTCTimeZone()),
      reply.status == 405 ? "\r\nAllow: GET, HEAD" : "", "\r\nContent-Type: ", reply.type,
      "\r\nContent-Length: ", reply.body.size(),
      "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n", with_body ? reply.body : "");
}

}  // namespace

struct HttpRequest::Parser : http::request_parser<http::empty_body> {};

HttpRequest::HttpRequest() : parser_(std::make_unique<Parser>()) {
  parser_->header_limit(kMostBytes);
}

HttpRequest::~HttpRequest() = default;

std::string HttpRequest::Take(absl::string_view bytes, const HttpPages& pages) {
  unparsed_.append(bytes.data(), bytes.size());
  boost::system::error_code error;
  const std::size_t parsed = parser_->put(boost::asio::buffer(unparsed_), error);
  unparsed_.erase(0, parsed);
  taken_ += bytes.size();
  if (error == http::error::need_more) {
    if (taken_ < kMostBytes) return "";
    error = http::error::header_limit;  // Beast's is one for the first line, and one for the rest
  }
  if (error) {
    Debug([&] { return absl::StrCat("status page: no request: ", error.message()); });
    return Answer(error == http::error::header_limit
                      ? Plain(431, absl::StrCat("the request has more than ", kMostBytes, " bytes"))
                      : Plain(400, "this is no request of HTTP/1.1"),
                  /*with_body=*/true);
  }
  if (!parser_->is_header_done()) return "";
  const auto& head = parser_->get();
  const bool get = head.method() == http::verb::get;
  const absl::string_view target(head.target().data(), head.target().size());
  const absl::string_view path = target.substr(0, target.find('?'));
  const HttpReply reply = get || head.method() == http::verb::head
                              ? pages(std::string_view(path.data(), path.size()))
                              : Plain(405, "there is nothing to change here: use GET");
  Debug([&] { return absl::StrCat("status page ", Printable(path, 80), ": ", reply.status); });
  return Answer(reply, head.method() != http::verb::head);
}

}  // namespace okms
