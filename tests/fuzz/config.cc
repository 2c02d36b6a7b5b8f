// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Any command line, one argument a line: refused in printable lines, or understood.

#include "config/config.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "app/protocols.h"
#include "base/secret.h"
#include "fuzz/require.h"

namespace okms {
namespace {

// As argv can hold them: without NUL bytes.
std::vector<std::string> Arguments(absl::string_view text) {
  std::vector<std::string> arguments{"okms-k8s-encryption-provider", ""};
  for (const char c : text) {
    if (c == '\n') {
      arguments.emplace_back();
    } else if (c != '\0') {
      arguments.back() += c;
    }
  }
  return arguments;
}

void Check(absl::string_view text) {
  const auto parsed = ParseConfig(Arguments(text), Protocols());
  if (!parsed.ok()) {
    OKMS_REQUIRE(parsed.status().code() == absl::StatusCode::kInvalidArgument);
    for (const char c : parsed.status().message()) {
      OKMS_REQUIRE(c == '\n' || (c >= 0x20 && c <= 0x7e));
    }
    return;
  }
  if (const auto* config = std::get_if<Config>(&*parsed)) {
    OKMS_REQUIRE(config->key_id.empty() != config->key_label.empty());
    OKMS_REQUIRE(config->timeout.count() > 0);
    OKMS_REQUIRE(config->max_connections <= 64);
    OKMS_REQUIRE(!config->servers.empty() && config->servers.size() <= 16);
    for (const Server& server : config->servers) OKMS_REQUIRE(!server.host.host.empty());
    OKMS_REQUIRE(!config->tls.client_cert.path.empty() && !config->tls.client_key.path.empty());
  } else {
    OKMS_REQUIRE(!std::get<Printout>(*parsed).text.empty());
  }
}

}  // namespace
}  // namespace okms

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  okms::Check(okms::AsText({data, size}));
  return 0;
}
