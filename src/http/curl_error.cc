// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/curl_error.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "net/peer_certificate.h"
#include "net/refused_certificate.h"

namespace okms::http {
namespace {

// libcurl shows a proxy's URL as it is, with its password.
std::string WithoutUser(absl::string_view error) {
  constexpr absl::string_view kBegin = "://";
  const std::size_t begin = error.find(kBegin);
  const std::size_t end = error.rfind('@');
  if (begin == error.npos || end == error.npos || end < begin) return std::string(error);
  return absl::StrCat(error.substr(0, begin + kBegin.size()), error.substr(end + 1));
}

// What a server of something else makes of our request, or of our handshake. It may also be a KMS
// that is going down; at the usual port nothing else is likely.
std::string PortHint(CURLcode code, absl::string_view error, uint16_t port) {
  constexpr uint16_t kHttps = 443;
  const bool no_http = code == CURLE_GOT_NOTHING || code == CURLE_WEIRD_SERVER_REPLY ||
                       absl::StrContains(error, "HTTP/0.9");
  const bool no_tls = absl::StrContains(error, "wrong version number");
  if (port == kHttps || (!no_http && !no_tls)) return "";
  return "; the REST API answers at port 443 of the KMS: check --serv-addr";
}

}  // namespace

absl::Status TransferError(CURL* easy, CURLcode code, absl::string_view error,
                           const HostPort& server) {
  const std::string peer = server.ToString();
  const std::string shown =
      Printable(error.empty() ? Curl().easy_strerror(code) : WithoutUser(error));
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR) {
    const std::string refusal = TakeRefusal();
    if (!refusal.empty()) {
      return absl::UnauthenticatedError(
          absl::StrCat(peer, ": the KMS's certificate is refused: ", refusal));
    }
  }
  // Whatever libcurl ran into by that: a write may have failed before it was read.
  if (const std::string alert = NotedRefusal();
      !alert.empty() && code != CURLE_OPERATION_TIMEDOUT) {
    return absl::UnauthenticatedError(
        absl::StrCat(peer, ": the KMS refuses our certificate (", alert, "); check --client-cert"));
  }
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return absl::DeadlineExceededError(absl::StrCat(peer, ": no answer in time"));
    case CURLE_COULDNT_CONNECT: {
      long error_number = 0;
      Curl().easy_getinfo(easy, CURLINFO_OS_ERRNO, &error_number);
      if (error_number == 0) break;
      const absl::Status status =
          ErrnoStatus(absl::StatusCode::kUnavailable, absl::StrCat(peer, ": connect"),
                      static_cast<int>(error_number));
      // A proxy's address, then.
      return absl::StrContains(error, server.host) ? status : WithDetail(status, shown);
    }
    case CURLE_PEER_FAILED_VERIFICATION:
      return absl::UnauthenticatedError(absl::StrCat(
          peer, ": the KMS's certificate is refused: ", shown, "; check --ca and --serv-addr"));
    case CURLE_SSL_CERTPROBLEM:
      return absl::FailedPreconditionError(absl::StrCat(peer, ": TLS cannot be set up: ", shown));
    default: break;
  }
  // libcurl's text has numbers of milliseconds and streams in it.
  return WithDetail(absl::UnavailableError(absl::StrCat(peer, ": ", Curl().easy_strerror(code),
                                                        PortHint(code, error, server.port))),
                    shown);
}

}  // namespace okms::http
