// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/socket_address.h"

#include <sys/un.h>

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace okms {

std::string SocketAddress::ToString() const {
  return path.empty() ? absl::StrCat("@", abstract_name) : path;
}

absl::StatusOr<SocketAddress> ParseSocketAddress(absl::string_view text) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("\"", Printable(text), "\" ", why));
  };
  absl::string_view rest = text;
  // The apiserver writes an abstract name as a path that begins with "/@".
  if (absl::ConsumePrefix(&rest, "unix://") && absl::StartsWith(rest, "/@")) {
    rest.remove_prefix(1);
  }
  SocketAddress address;
  if (absl::ConsumePrefix(&rest, "@")) {
    address.abstract_name = std::string(rest);
    if (rest.empty()) return bad("has no name after the @");
  } else if (absl::StartsWith(rest, "/")) {
    address.path = std::string(rest);
    if (absl::EndsWith(rest, "/"))
      return bad("is a folder; name the socket in it, as in /run/kms.sock");
  } else {
    return bad("is no absolute path; give /path, unix:///path or @name");
  }
  if (rest.find('\0') != absl::string_view::npos) return bad("has a NUL byte");
  if (constexpr std::size_t kMax = sizeof(sockaddr_un::sun_path) - 1; rest.size() > kMax) {
    return bad(absl::StrCat("has ", rest.size(), " bytes; a socket's path has at most ", kMax));
  }
  return address;
}

}  // namespace okms
