// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/etcd_error.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms::audit {
namespace {

struct Hint {
  absl::string_view said;  // a part of the message
  bool tls;                // of https alone
  absl::string_view means;
};

constexpr Hint kHints[] = {
    {"no leader", false, "the cluster has no leader: see that most of its members run"},
    {"certificate verify failed", true,
     "its certificate is not signed by a CA of --etcd-cacert, or has expired"},
    {"Hostname Verification", true, "its certificate is not for this host: name it as there"},
    {"hostname", true, "its certificate is not for this host: name it as there"},
    {"wrong version number", true, "it speaks no TLS: give http://"},
    {"WRONG_VERSION_NUMBER", true, "it speaks no TLS: give http://"},
    {"certificate required", true,
     "it wants a client certificate: give --etcd-cert and --etcd-key"},
    {"bad certificate", true, "it does not take the certificate of --etcd-cert, or wants one"},
    {"unknown certificate authority", true, "it does not know the CA that signed --etcd-cert"},
    {"Connection refused", false, "nobody listens there"},
};

std::string MeaningOf(absl::string_view message, const EtcdEndpoint& endpoint) {
  for (const Hint& hint : kHints) {
    if (absl::StrContains(message, hint.said) && (endpoint.tls || !hint.tls))
      return std::string(hint.means);
  }
  return endpoint.tls
             ? absl::StrCat("no connection (", Printable(message),
                            "); where it speaks no TLS, give http://; where it wants a client "
                            "certificate, --etcd-cert")
             : absl::StrCat("no connection (", Printable(message),
                            "); where it speaks TLS, give https://");
}

}  // namespace

absl::Status ExplainEtcdError(const absl::Status& status, const EtcdEndpoint& endpoint) {
  const absl::string_view message = status.message();
  const auto say = [&](absl::StatusCode code, absl::string_view what) {
    return absl::Status(code, absl::StrCat("etcd at ", endpoint.ToString(), ": ", what));
  };
  switch (status.code()) {
    case absl::StatusCode::kUnavailable: return say(status.code(), MeaningOf(message, endpoint));
    case absl::StatusCode::kDeadlineExceeded: return say(status.code(), "no answer in time");
    case absl::StatusCode::kOutOfRange: return say(status.code(), "compacted while it was read");
    case absl::StatusCode::kResourceExhausted: return say(status.code(), Printable(message));
    case absl::StatusCode::kPermissionDenied:
      return say(status.code(),
                 "this user may not read that: grant it a role with read on the prefix (user: the "
                 "CN of --etcd-cert)");
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnauthenticated:
      if (!absl::StrContains(message, "user name is empty") &&
          status.code() == absl::StatusCode::kInvalidArgument) {
        break;
      }
      return say(absl::StatusCode::kUnauthenticated,
                 "it wants a user: give --etcd-cert with one as its CN (passwords are not taken), "
                 "to an endpoint with client certificates");
    case absl::StatusCode::kUnimplemented:
      return say(status.code(), "that is no etcd: it does not know the v3 API");
    default: break;
  }
  return say(status.code(), absl::StrCat("it refuses, or is no etcd (", Printable(message), ")"));
}

}  // namespace okms::audit
