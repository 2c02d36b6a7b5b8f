// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "config/status_listen.h"

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "config/mistakes.h"
#include "net/host_port.h"

namespace okms {
namespace {

absl::StatusOr<StatusListen> ParsePath(absl::string_view text, absl::string_view path) {
  absl::ConsumePrefix(&path, "//");
  // A name in the abstract namespace has no mode: all users of the machine could connect.
  if (!absl::StartsWith(path, "/")) {
    return Bad(kStatusListenFlag, " ", Printable(text),
               ": no absolute path; give for example unix:/run/kms-status.sock");
  }
  absl::StatusOr<SocketAddress> address = ParseSocketAddress(path);
  if (!address.ok()) return Annotate(address.status(), kStatusListenFlag);
  address->flag = kStatusListenFlag;
  return *std::move(address);
}

}  // namespace

absl::StatusOr<StatusListen> ParseStatusListen(absl::string_view text, bool anywhere) {
  if (absl::string_view path = text; absl::ConsumePrefix(&path, "unix:")) {
    return ParsePath(text, path);
  }
  const std::string name = absl::StrCat(kStatusListenFlag, " ", PrintableAddress(text));
  absl::StatusOr<HostPort> target = ParseHostPort(text);
  if (!target.ok()) {
    return Bad(name, ": neither unix:/path nor host:port; give for example 127.0.0.1:9440");
  }
  if (target->host == "localhost") target->host = "127.0.0.1";
  const std::optional<Address> address = ParseAddress(*target);
  if (!address) return Bad(name, ": no IP address; give for example 127.0.0.1:9440");
  if (!anywhere && !IsLoopback(*address)) {
    return Bad(name,
               ": no loopback address; give for example 127.0.0.1:9440, or say that it is meant"
               " with --status-listen-anywhere (OKMS_STATUS_LISTEN_ANYWHERE)");
  }
  return TcpListen{*address, name};
}

}  // namespace okms
