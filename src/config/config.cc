// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the texts of flags and variables mean together.

#include "config/config.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "config/duration.h"
#include "config/flags.h"
#include "config/key_id_file.h"
#include "config/mistakes.h"
#include "version.h"

namespace okms {
namespace {

constexpr std::size_t kMaxConnections = 64;

absl::StatusOr<uid_t> ParseUser(const std::string& text) {
  // The largest number stands for "no user" in chown(2) and its like, as it does for groups.
  if (uid_t uid = 0; absl::SimpleAtoi(text, &uid) && uid != static_cast<uid_t>(-1)) return uid;
  const passwd* entry = ::getpwnam(text.c_str());
  if (entry == nullptr) {
    return Bad("--allow-uid ", Printable(text), ": no such user; give a name or a number");
  }
  return entry->pw_uid;
}

absl::StatusOr<gid_t> ParseGroup(const std::string& flag, const std::string& text) {
  if (gid_t gid = 0; absl::SimpleAtoi(text, &gid) && gid != static_cast<gid_t>(-1)) return gid;
  const group* entry = ::getgrnam(text.c_str());
  if (entry == nullptr) {
    return Bad(flag, " ", Printable(text), ": no such group; give a name or a number");
  }
  return entry->gr_gid;
}

absl::StatusOr<const Protocol*> ParseProtocol(const std::string& text,
                                              std::span<const Protocol> protocols) {
  std::vector<absl::string_view> names;
  for (const Protocol& protocol : protocols) {
    if (text == protocol.name) return &protocol;
    names.push_back(protocol.name);
  }
  const std::string choice = absl::StrJoin(names, " or ");
  OKMS_RETURN_IF_ERROR(Required(text, "--protocol", "OKMS_PROTOCOL", choice));
  return Bad("--protocol ", Printable(text), ": no such protocol; use ", choice);
}

absl::Status CheckKeyName(const RawFlags& raw) {
  std::vector<absl::string_view> flags;
  std::vector<absl::string_view> others;  // where they may have come from
  const auto look = [&](const std::string& value, absl::string_view flag, absl::string_view other) {
    if (value.empty()) return;
    flags.push_back(flag);
    others.push_back(other);
  };
  look(raw.key_id, "--encryption-key-id", "OKMS_KEY_ID");
  look(raw.key_label, "--encryption-key-label", "OKMS_KEY_LABEL");
  const bool passed = raw.key_id_file == CredentialOf("--encryption-key-id-file");
  look(raw.key_id_file, "--encryption-key-id-file",
       passed ? "systemd's credential encryption-key-id-file" : "OKMS_KEY_ID_FILE");
  if (flags.empty()) {
    return Bad(
        "--encryption-key-id is missing: give the id of the key (or set OKMS_KEY_ID), its label "
        "with --encryption-key-label (OKMS_KEY_LABEL), or a file that holds the id with "
        "--encryption-key-id-file (OKMS_KEY_ID_FILE)");
  }
  if (flags.size() > 1) {
    return Bad(absl::StrJoin(flags, " and "), flags.size() == 2 ? " are both" : " are all",
               " given (perhaps by ", absl::StrJoin(others, " or "), "): use one of them");
  }
  const bool by_id = raw.key_label.empty();
  if (const auto size = (by_id ? raw.key_id : raw.key_label).size(); size > kMaxKeyName) {
    return Bad(by_id ? "--encryption-key-id" : "--encryption-key-label", " has ", size,
               " bytes; at most ", kMaxKeyName, " are possible");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> ParseMaxConnections(const std::string& text) {
  std::size_t number = 0;
  if (text.empty()) return number;
  if (absl::SimpleAtoi(text, &number) && number >= 1 && number <= kMaxConnections) return number;
  return Bad("--max-connections ", Printable(text), ": no number between 1 and ", kMaxConnections,
             "; give for example 8");
}

absl::StatusOr<bool> ParseSwitch(absl::string_view flag, const std::string& text) {
  constexpr std::array kOn{"true", "1", "t", "yes", "on"};
  constexpr std::array kOff{"", "false", "0", "f", "no", "off"};
  const std::string lower = absl::AsciiStrToLower(text);
  if (std::find(kOn.begin(), kOn.end(), lower) != kOn.end()) return true;
  if (std::find(kOff.begin(), kOff.end(), lower) != kOff.end()) return false;
  return Bad(flag, " ", Printable(text), ": neither yes nor no; give true or false");
}

absl::StatusOr<LogFormat> LogFormatOf(const std::string& text) {
  if (const auto format = ParseLogFormat(text)) return *format;
  return Bad("--log-format ", Printable(text), ": no such form; use auto, text or json");
}

// A file, which systemd may have passed: then it is the file behind it that can be mended.
absl::StatusOr<NamedFile> ParseFile(absl::string_view flag, const std::string& path) {
  if (absl::StartsWith(path, "~")) {
    return Bad(flag, " ", Printable(path),
               ": ~ is a shell's, and is not replaced here; give the "
               "whole path");
  }
  return NamedFile{std::string(flag), path, !path.empty() && path == CredentialOf(flag)};
}

Config Validate(const RawFlags& raw, std::span<const Protocol> protocols, Mistakes& mistakes) {
  Config config;
  // What it all hangs on: without it, the rest cannot be told.
  mistakes.Take(config.protocol, ParseProtocol(raw.protocol, protocols));
  if (config.protocol != nullptr) config.protocol->parse(raw, config, mistakes);
  mistakes.AddIfError(CheckKeyName(raw));
  config.key_id = raw.key_id;
  if (!raw.key_id_file.empty()) {
    mistakes.Take(config.key_id_file, ParseFile("--encryption-key-id-file", raw.key_id_file));
  }
  if (!config.key_id_file.path.empty()) {
    const bool must_be_uuid = config.protocol != nullptr && config.protocol->keys_are_uuids;
    mistakes.Take(config.key_id, ReadKeyIdFile(config.key_id_file, must_be_uuid));
  }
  mistakes.AddIfError(Required(raw.client_cert, "--client-cert", "OKMS_CLIENT_CERT",
                               "the PEM file of the access certificate"));
  mistakes.AddIfError(Required(raw.client_key, "--client-key", "OKMS_CLIENT_KEY",
                               "the PEM file of the certificate's key"));
  mistakes.Take(config.tls.client_cert, ParseFile("--client-cert", raw.client_cert));
  mistakes.Take(config.tls.client_key, ParseFile("--client-key", raw.client_key));
  mistakes.Take(config.tls.ca, ParseFile("--ca", raw.ca));
  bool ca_only = false;
  mistakes.Take(ca_only, ParseSwitch("--ca-only", raw.ca_only));
  if (ca_only && raw.ca.empty()) {
    mistakes.Add(
        "--ca-only needs --ca: give the PEM file of the only CA to trust (or set OKMS_CA_CERT)");
  }
  config.tls.only_ca = config.tls.only_ca || ca_only;
  auto socket = ParseSocketAddress(raw.socket);
  mistakes.AddIfError(Annotate(socket.status(), "--sock"));
  if (socket.ok()) config.socket = *std::move(socket);
  bool anywhere = false;
  mistakes.Take(anywhere, ParseSwitch("--status-listen-anywhere", raw.status_listen_anywhere));
  if (!raw.status_listen.empty()) {
    mistakes.Take(config.status_listen, ParseStatusListen(raw.status_listen, anywhere));
  }
  mistakes.Take(config.timeout,
                ParseDuration("--timeout", raw.timeout, std::chrono::milliseconds(1)));
  mistakes.Take(config.max_connections, ParseMaxConnections(raw.max_connections));
  mistakes.Take(config.label_grace,
                ParseDuration("--label-grace", raw.label_grace, std::chrono::milliseconds(0)));
  if (!raw.socket_group.empty()) {
    SocketGroup group{0, raw.socket_group};
    mistakes.Take(group.id, ParseGroup("--sock-group", raw.socket_group));
    config.socket_group = std::move(group);
  }
  for (const std::string& text : raw.allowed_uids) {
    mistakes.Take(config.allowed_uids.emplace_back(), ParseUser(text));
  }
  for (const std::string& text : raw.allowed_gids) {
    mistakes.Take(config.allowed_gids.emplace_back(), ParseGroup("--allow-gid", text));
  }
  mistakes.Take(config.check_only, ParseSwitch("--check-config", raw.check_config));
  mistakes.Take(config.debug, ParseSwitch("--debug", raw.debug));
  mistakes.Take(config.log_format, LogFormatOf(raw.log_format));
  config.key_label = raw.key_label;
  config.user = raw.user;
  config.warnings = raw.unknown_variables;
  return config;
}

}  // namespace

std::string Config::KmsName() const {
  return absl::StrJoin(servers, ", ", [](std::string* line, const Server& server) {
    absl::StrAppend(line, server.Name());
  });
}

absl::StatusOr<std::variant<Config, Printout>> ParseConfig(const std::vector<std::string>& argv,
                                                           std::span<const Protocol> protocols) {
  Mistakes mistakes;
  auto read = ReadFlags(argv, mistakes);
  if (auto* const printout = std::get_if<Printout>(&read)) return *std::move(printout);
  const RawFlags& raw = std::get<RawFlags>(read);
  bool version = false;
  mistakes.Take(version, ParseSwitch("--version", raw.version));
  if (version) return Printout{absl::StrCat("okms-k8s-encryption-provider ", kVersion, "\n")};
  Config config = Validate(raw, protocols, mistakes);
  if (!mistakes.status().ok()) {
    // A name that was mistyped may be why something is missing.
    for (const std::string& line : raw.unknown_variables) mistakes.Add(line);
    return mistakes.status();
  }
  return config;
}

}  // namespace okms
