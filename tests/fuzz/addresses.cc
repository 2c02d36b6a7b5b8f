// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Any text as an address of a KMS or of a socket: refused in one line, or written as it is read.

#include <sys/un.h>

#include <cstddef>
#include <cstdint>

#include "absl/strings/match.h"
#include "base/secret.h"
#include "fuzz/require.h"
#include "net/host_port.h"
#include "net/https_url.h"
#include "net/socket_address.h"

namespace okms {
namespace {

void RequireOneLine(const absl::Status& status) {
  OKMS_REQUIRE(status.code() == absl::StatusCode::kInvalidArgument);
  for (const char c : status.message()) OKMS_REQUIRE(c >= 0x20 && c <= 0x7e);
}

void CheckHostPort(absl::string_view text) {
  const auto parsed = ParseHostPort(text);
  if (!parsed.ok()) {
    RequireOneLine(parsed.status());
    return;
  }
  OKMS_REQUIRE(!parsed->host.empty() && parsed->port != 0);
  const auto again = ParseHostPort(parsed->ToString());
  OKMS_REQUIRE(again.ok());
  OKMS_REQUIRE(again->host == parsed->host && again->port == parsed->port);
}

void CheckSocketAddress(absl::string_view text) {
  const auto parsed = ParseSocketAddress(text);
  if (!parsed.ok()) {
    RequireOneLine(parsed.status());
    return;
  }
  OKMS_REQUIRE(parsed->path.empty() != parsed->abstract_name.empty());
  // The first, and the terminating or leading NUL.
  OKMS_REQUIRE(parsed->path.size() + parsed->abstract_name.size() < sizeof(sockaddr_un::sun_path));
  const auto again = ParseSocketAddress(parsed->ToString());
  OKMS_REQUIRE(again.ok());
  OKMS_REQUIRE(again->path == parsed->path && again->abstract_name == parsed->abstract_name);
}

void CheckHttpsUrl(absl::string_view text) {
  const auto parsed = ParseHttpsUrl(text);
  if (!parsed.ok()) {
    RequireOneLine(parsed.status());
    return;
  }
  OKMS_REQUIRE(!parsed->server.host.empty() && parsed->server.port != 0);
  OKMS_REQUIRE(absl::StartsWith(parsed->text, "https://") && !absl::EndsWith(parsed->text, "/"));
  const auto again = ParseHttpsUrl(parsed->text);
  OKMS_REQUIRE(again.ok());
  OKMS_REQUIRE(again->text == parsed->text);
  OKMS_REQUIRE(again->server.host == parsed->server.host);
  OKMS_REQUIRE(again->server.port == parsed->server.port);
}

}  // namespace
}  // namespace okms

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text = okms::AsText({data, size});
  okms::CheckHostPort(text);
  okms::CheckSocketAddress(text);
  okms::CheckHttpsUrl(text);
  return 0;
}
