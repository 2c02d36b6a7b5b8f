// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The configuration: flags, then environment variables, then defaults.

#ifndef OKMS_CONFIG_CONFIG_H_
#define OKMS_CONFIG_CONFIG_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "base/log_format.h"
#include "config/flags.h"
#include "config/protocol.h"
#include "config/status_listen.h"
#include "net/host_port.h"
#include "net/socket_address.h"
#include "net/tls_context.h"

namespace okms {

// A host of the KMS.
struct Server {
  HostPort host;
  std::string url;  // REST only: what the API's paths are appended to

  bool over_rest() const { return !url.empty(); }
  // For a line.
  std::string Name() const { return over_rest() ? url : host.ToString(); }
};

// Immutable once parsed. Files are named here, not read, but for that of the key's id.
struct Config {
  const Protocol* protocol = nullptr;  // never null once parsed; not owned
  std::vector<Server> servers;         // one at least; the first is the preferred one
  std::string okms_id;                 // REST only: the domain, a UUID in canonical form
  SocketAddress socket;
  std::optional<SocketGroup> socket_group;
  std::vector<uid_t> allowed_uids;
  std::vector<gid_t> allowed_gids;
  std::optional<StatusListen> status_listen;
  std::chrono::milliseconds timeout{};  // of one operation
  std::size_t max_connections{};        // to the KMS; 0: as many as the protocol has by default
  // Exactly one of the two is not empty.
  std::string key_id;
  std::string key_label;
  NamedFile key_id_file;  // where key_id was read from, and may change; an empty path: nowhere
  std::chrono::milliseconds label_grace{};  // see core/adoption.h
  TlsFiles tls;
  std::string user;         // whom to become, if root; empty: the usual one
  bool check_only = false;  // say what is wrong, and do nothing else
  bool debug = false;
  LogFormat log_format = LogFormat::kAuto;
  std::vector<std::string> warnings;  // what is no mistake but hardly meant, a line each

  // The KMS, for a line.
  std::string KmsName() const;
};

// Parses the command line, argv[0] included, and the OKMS_* variables of the environment. Users and
// groups are looked up by name. `protocols` are those that may be chosen, and must outlive the
// configuration. Errors: kInvalidArgument, one line for each mistake that names the flag and the
// remedy.
absl::StatusOr<std::variant<Config, Printout>> ParseConfig(const std::vector<std::string>& argv,
                                                           std::span<const Protocol> protocols);

}  // namespace okms

#endif  // OKMS_CONFIG_CONFIG_H_
