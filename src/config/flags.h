// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The command line and the OKMS_* variables as texts, before they mean anything.

#ifndef OKMS_CONFIG_FLAGS_H_
#define OKMS_CONFIG_FLAGS_H_

#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "config/mistakes.h"

namespace okms {

inline constexpr char kDefaultSocket[] = "/var/run/okms_etcd_plugin.sock";
inline constexpr char kDefaultTimeout[] = "10s";
inline constexpr char kDefaultLabelGrace[] = "15m";
inline constexpr char kDefaultLogFormat[] = "auto";

struct RawFlags {
  std::string protocol;
  std::vector<std::string> servers;
  std::string socket = kDefaultSocket;
  std::string timeout = kDefaultTimeout;
  std::string max_connections;
  std::string key_id;
  std::string key_label;
  std::string key_id_file;
  std::string label_grace = kDefaultLabelGrace;
  std::string okms_id;  // REST only
  std::string client_cert;
  std::string client_key;
  std::string ca;
  std::string ca_only;
  std::string socket_group;
  std::vector<std::string> allowed_uids;
  std::vector<std::string> allowed_gids;
  std::string status_listen;
  std::string status_listen_anywhere;
  std::string user;
  std::string check_config;
  std::string debug;
  std::string log_format = kDefaultLogFormat;
  std::string version;
  std::vector<std::string> unknown_variables;  // OKMS_*, a line for each
};

// A text for standard output (--help, --version), after which there is nothing more to do.
struct Printout {
  std::string text;
};

// `argv` has the program's name first. Values have no white space around them and no control
// characters; what is wrong with the line or with a value by itself is added to `mistakes`.
std::variant<RawFlags, Printout> ReadFlags(const std::vector<std::string>& argv,
                                           Mistakes& mistakes);

// Where systemd puts the credential of that flag's name; empty when it passes none at all.
std::string CredentialOf(absl::string_view flag);

}  // namespace okms

#endif  // OKMS_CONFIG_FLAGS_H_
