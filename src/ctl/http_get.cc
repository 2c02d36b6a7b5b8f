// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/http_get.h"

#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/system/error_code.hpp>

#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/await.h"
#include "base/status.h"

namespace okms::ctl {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t kChunk = 16384;
constexpr uint32_t kLongestHead = 8192;

absl::Status Broken(int error) {
  return ErrnoStatus(absl::StatusCode::kUnavailable, "the connection broke", error);
}

absl::Status Send(int socket, absl::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    OKMS_RETURN_IF_ERROR(Await(socket, POLLOUT, deadline));
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return Broken(errno);
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return absl::OkStatus();
}

// Appends what has come; false at the end.
absl::StatusOr<bool> Receive(int socket, std::string& bytes, Deadline deadline) {
  OKMS_RETURN_IF_ERROR(Await(socket, POLLIN, deadline));
  std::array<char, kChunk> chunk;
  const ssize_t got = ::recv(socket, chunk.data(), chunk.size(), 0);
  if (got < 0 && errno != EAGAIN && errno != EINTR) return Broken(errno);
  if (got > 0) bytes.append(chunk.data(), static_cast<std::size_t>(got));
  return got != 0;
}

}  // namespace

absl::StatusOr<std::string> HttpGet(int socket, absl::string_view path, std::size_t most,
                                    Deadline deadline) {
  OKMS_RETURN_IF_ERROR(
      Send(socket,
           absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
           deadline));
  http::response_parser<http::string_body> parser;
  parser.header_limit(kLongestHead);
  parser.body_limit(most);
  boost::system::error_code error;
  std::string unparsed;
  while (!parser.is_done() && (!error || error == http::error::need_more)) {
    if (error || unparsed.empty()) {
      OKMS_ASSIGN_OR_RETURN(const bool more, Receive(socket, unparsed, deadline));
      if (!more && !parser.got_some()) return absl::UnavailableError("the connection was closed");
      if (!more) {
        error = {};
        parser.put_eof(error);
        break;
      }
    }
    // The head by itself: Beast 1.74 forgets the bound of the body where both come at once.
    parser.eager(parser.is_header_done());
    unparsed.erase(0, parser.put(boost::asio::buffer(unparsed), error));
    // Its limits of the head are for a line, and for one that is whole.
    if (unparsed.size() > 2 * kLongestHead + kChunk) error = http::error::header_limit;
  }
  if (error) {
    return absl::DataLossError(
        absl::StrCat("what answers is no web server, or the page is larger than ", most, " bytes"));
  }
  const auto& page = parser.get();
  if (page.result() == http::status::not_found) return absl::NotFoundError("there is no such page");
  if (page.result() != http::status::ok) {
    return absl::DataLossError(absl::StrCat("the page has status ", page.result_int()));
  }
  return std::move(parser.get().body());
}

}  // namespace okms::ctl
