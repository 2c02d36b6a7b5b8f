// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The flags and variables of the Go plugin, with its defaults, and a few of our own. As with Go's
// flag package, a long flag may have one dash or two, its value may follow "=" or a space, and the
// last one wins.

#include "config/config.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include <CLI/CLI.hpp>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "base/uuid.h"
#include "net/https_url.h"
#include "version.h"

namespace okms {
namespace {

constexpr char kDefaultSocket[] = "/var/run/okms_etcd_plugin.sock";
constexpr char kDefaultTimeout[] = "10s";
constexpr char kDefaultLabelGrace[] = "15m";
constexpr std::size_t kMaxKeyName = 1024;  // bytes; kube-apiserver's limit of a key id

// What the command line says, before it means anything.
struct RawFlags {
  std::string protocol;
  std::string server;
  std::string socket = kDefaultSocket;
  std::string timeout = kDefaultTimeout;
  std::string key_id;
  std::string key_label;
  std::string label_grace = kDefaultLabelGrace;
  std::string okms_id;  // REST only
  std::string client_cert;
  std::string client_key;
  std::string ca;
  bool ca_only = false;
  std::string socket_group;
  std::vector<std::string> allowed_uids;
  std::vector<std::string> allowed_gids;
  std::string user;
  bool check_config = false;
  bool debug = false;
  bool version = false;
};

CLI::Option* Add(CLI::App& app, const char* name, std::string& value, const char* variable,
                 const char* text) {
  return app.add_option(name, value, text)->envname(variable)->take_last();
}

// As Add, for a file that systemd may pass (LoadCredential=NAME:..., with the flag's name). Such a
// one comes after the flag, but before the variable: a unit takes an environment file as it is.
CLI::Option* AddFile(CLI::App& app, const char* flag, std::string& value, const char* variable,
                     const char* text) {
  const char* const directory = std::getenv("CREDENTIALS_DIRECTORY");
  const std::string credential =
      absl::StrCat(directory != nullptr ? directory : "", "/", absl::StripPrefix(flag, "--"));
  if (directory == nullptr || ::access(credential.c_str(), F_OK) != 0) {
    return Add(app, flag, value, variable, text);
  }
  value = credential;
  return Add(app, flag, value, "", text);
}

void Declare(CLI::App& app, RawFlags& raw) {
  app.get_formatter()->column_width(40);
  app.set_help_flag("-h,--help", "Print this help and exit");

  Add(app, "--protocol", raw.protocol, "OKMS_PROTOCOL",
      "Protocol of the KMS: kmip or rest (required)")
      ->group("KMS");
  Add(app, "--serv-addr,--kmip-addr", raw.server, "OKMS_SERV_ADDR",
      "The KMS (required): host:port for kmip, https://host for rest")
      ->group("KMS");
  Add(app, "--timeout", raw.timeout, "OKMS_TIMEOUT",
      "Bound of one operation, for example 10s or 1m30s")
      ->capture_default_str()
      ->group("KMS");
  Add(app, "--okms-id", raw.okms_id, "OKMS_ID", "Id of the OKMS domain, a UUID (required for rest)")
      ->group("KMS");

  Add(app, "--encryption-key-id,--kmip-key-id", raw.key_id, "OKMS_KEY_ID",
      "Id of the key; this or the label is required")
      ->group("Key");
  Add(app, "--encryption-key-label", raw.key_label, "OKMS_KEY_LABEL",
      "Label of the key (KMIP Name, name of the service key); it must fit exactly one active key")
      ->group("Key");
  Add(app, "--label-grace", raw.label_grace, "OKMS_LABEL_GRACE",
      "How long the label may fit no key or several before Status fails; the key in use stays")
      ->capture_default_str()
      ->group("Key");

  AddFile(app, "--client-cert", raw.client_cert, "OKMS_CLIENT_CERT",
          "PEM file of the client certificate (required)")
      ->group("TLS");
  AddFile(app, "--client-key", raw.client_key, "OKMS_CLIENT_KEY",
          "PEM file of the client certificate's key (required)")
      ->group("TLS");
  AddFile(
      app, "--ca", raw.ca, "OKMS_CA_CERT",
      "PEM file of the CA that signed the KMS's certificate; kmip then trusts only it, rest the "
      "system's roots as well. Default: the system's roots")
      ->group("TLS");
  app.add_flag("--ca-only", raw.ca_only, "Trust only --ca with rest too")
      ->envname("OKMS_CA_ONLY")
      ->group("TLS");

  Add(app, "--sock", raw.socket, "OKMS_SOCK",
      "Unix socket to listen on: /path, unix:///path or @abstract-name; unused when systemd passes "
      "a socket named kms")
      ->capture_default_str()
      ->group("Socket");
  Add(app, "--sock-group", raw.socket_group, "OKMS_SOCK_GROUP",
      "Group of the socket file, by name or number")
      ->group("Socket");
  app.add_option("--allow-uid", raw.allowed_uids,
                 "A user that may connect, besides root and our own; several with commas")
      ->envname("OKMS_ALLOW_UID")
      ->delimiter(',')
      ->group("Socket");
  app.add_option("--allow-gid", raw.allowed_gids, "A group that may connect; several with commas")
      ->envname("OKMS_ALLOW_GID")
      ->delimiter(',')
      ->group("Socket");

  Add(app, "--user", raw.user, "OKMS_USER",
      "Whom to become when root started it: a name, or NUMBER:NUMBER. Default: okms-kms, or "
      "a free id where there is no such user")
      ->group("Process");
  app.add_flag("--check-config", raw.check_config,
               "Say what is wrong with flags, variables and files, and exit: 0 when all is well");
  app.add_flag("--debug", raw.debug, "Log the course of events in detail (never their contents)")
      ->envname("OKMS_DEBUG");
  app.add_flag("--version", raw.version, "Print the version and exit");
}

// Two liberties of Go's flag package that CLI11 does not take: -flag for --flag, and --flag= for an
// empty value (CLI11 would take the next argument for it).
std::vector<std::string> AsCli11(const CLI::App& app, const std::vector<std::string>& arguments) {
  std::vector<std::string> result;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    std::string name = argument.substr(0, equals);
    if (name.size() > 2 && name[0] == '-' && name[1] != '-') name.insert(0, "-");
    if (app.get_option_no_throw(name) == nullptr) {
      result.push_back(argument);
    } else if (equals == std::string::npos) {
      result.push_back(name);
    } else if (equals + 1 == argument.size()) {
      result.insert(result.end(), {name, ""});
    } else {
      result.push_back(absl::StrCat(name, argument.substr(equals)));
    }
  }
  return result;
}

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status Required(const std::string& value, absl::string_view flag, absl::string_view variable,
                      absl::string_view what) {
  if (!value.empty()) return absl::OkStatus();
  return Bad(flag, " is missing: give ", what, " (or set ", variable, ")");
}

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

absl::StatusOr<Protocol> ParseProtocol(const std::string& text) {
  OKMS_RETURN_IF_ERROR(Required(text, "--protocol", "OKMS_PROTOCOL", "kmip or rest"));
  if (text == "kmip") return Protocol::kKmip;
  if (text == "rest") return Protocol::kRest;
  return Bad("--protocol ", Printable(text), ": no such protocol; use kmip or rest");
}

// Where the KMS is: all that the two protocols say in different ways.
absl::Status ParseServer(const RawFlags& raw, Config& config) {
  if (config.protocol == Protocol::kKmip) {
    OKMS_RETURN_IF_ERROR(
        Required(raw.server, "--serv-addr", "OKMS_SERV_ADDR", "the KMS as host:port"));
    auto server = ParseHostPort(raw.server);
    if (!server.ok()) return Annotate(server.status(), "--serv-addr");
    config.server = *std::move(server);
    return absl::OkStatus();
  }
  OKMS_RETURN_IF_ERROR(
      Required(raw.server, "--serv-addr", "OKMS_SERV_ADDR", "the KMS as https://host"));
  auto url = ParseHttpsUrl(raw.server);
  if (!url.ok()) return Annotate(url.status(), "--serv-addr");
  config.server = std::move(url->server);
  config.rest_url = std::move(url->text);
  OKMS_RETURN_IF_ERROR(
      Required(raw.okms_id, "--okms-id", "OKMS_ID", "the UUID of the OKMS domain"));
  const std::optional<std::string> okms_id = ParseUuid(raw.okms_id);
  if (!okms_id) {
    return Bad("--okms-id ", Printable(raw.okms_id), ": no UUID; give the id of the OKMS domain");
  }
  config.okms_id = *okms_id;
  return absl::OkStatus();
}

absl::Status CheckKeyName(const RawFlags& raw, Protocol protocol) {
  if (raw.key_id.empty() == raw.key_label.empty()) {
    return raw.key_id.empty()
               ? Bad("--encryption-key-id is missing: give the id of the key (or set OKMS_KEY_ID), "
                     "or its label with --encryption-key-label (OKMS_KEY_LABEL)")
               : Bad("--encryption-key-id and --encryption-key-label are both given (perhaps by "
                     "OKMS_KEY_ID or OKMS_KEY_LABEL): use one of them");
  }
  const bool by_id = raw.key_label.empty();
  if (by_id && protocol == Protocol::kRest && !ParseUuid(raw.key_id)) {
    return Bad("--encryption-key-id ", Printable(raw.key_id),
               ": no UUID, as the REST API has; give the id of a service key");
  }
  if (const auto size = (by_id ? raw.key_id : raw.key_label).size(); size > kMaxKeyName) {
    return Bad(by_id ? "--encryption-key-id" : "--encryption-key-label", " has ", size,
               " bytes; at most ", kMaxKeyName, " are possible");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::chrono::milliseconds> ParseDuration(absl::string_view flag,
                                                        const std::string& text,
                                                        absl::Duration least) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration)) {
    return Bad(flag, " ", Printable(text), ": no duration; give for example 10s or 1m30s");
  }
  if (duration < least || duration > absl::Hours(24)) {
    return Bad(flag, " ", Printable(text), ": out of range; give between ",
               absl::FormatDuration(least), " and 24h");
  }
  return absl::ToChronoMilliseconds(duration);
}

absl::StatusOr<Config> Validate(const RawFlags& raw) {
  Config config;
  OKMS_ASSIGN_OR_RETURN(config.protocol, ParseProtocol(raw.protocol));
  OKMS_RETURN_IF_ERROR(ParseServer(raw, config));
  OKMS_RETURN_IF_ERROR(CheckKeyName(raw, config.protocol));
  OKMS_RETURN_IF_ERROR(Required(raw.client_cert, "--client-cert", "OKMS_CLIENT_CERT",
                                "the PEM file of the access certificate"));
  OKMS_RETURN_IF_ERROR(Required(raw.client_key, "--client-key", "OKMS_CLIENT_KEY",
                                "the PEM file of the certificate's key"));
  if (raw.ca_only && raw.ca.empty()) {
    return Bad(
        "--ca-only needs --ca: give the PEM file of the only CA to trust (or set "
        "OKMS_CA_CERT)");
  }
  auto socket = ParseSocketAddress(raw.socket);
  if (!socket.ok()) return Annotate(socket.status(), "--sock");
  config.socket = *std::move(socket);
  OKMS_ASSIGN_OR_RETURN(config.timeout,
                        ParseDuration("--timeout", raw.timeout, absl::Milliseconds(1)));
  OKMS_ASSIGN_OR_RETURN(config.label_grace,
                        ParseDuration("--label-grace", raw.label_grace, absl::ZeroDuration()));
  if (!raw.socket_group.empty()) {
    OKMS_ASSIGN_OR_RETURN(config.socket_group, ParseGroup("--sock-group", raw.socket_group));
  }
  for (const std::string& text : raw.allowed_uids) {
    OKMS_ASSIGN_OR_RETURN(const uid_t uid, ParseUser(text));
    config.allowed_uids.push_back(uid);
  }
  for (const std::string& text : raw.allowed_gids) {
    OKMS_ASSIGN_OR_RETURN(const gid_t gid, ParseGroup("--allow-gid", text));
    config.allowed_gids.push_back(gid);
  }
  config.key_id = raw.key_id;
  config.key_label = raw.key_label;
  config.tls = {.client_cert = {"--client-cert", raw.client_cert},
                .client_key = {"--client-key", raw.client_key},
                .ca = {"--ca", raw.ca},
                .only_ca = config.protocol == Protocol::kKmip || raw.ca_only};
  config.user = raw.user;
  config.check_only = raw.check_config;
  config.debug = raw.debug;
  return config;
}

}  // namespace

absl::StatusOr<std::variant<Config, Printout>> ParseConfig(const std::vector<std::string>& argv) {
  RawFlags raw;
  CLI::App app("Kubernetes KMS v2 plugin for OVHcloud KMS and any KMIP server",
               "okms-k8s-encryption-provider");
  Declare(app, raw);
  std::vector<std::string> arguments =
      AsCli11(app, {argv.begin() + (argv.empty() ? 0 : 1), argv.end()});
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes the last one first
  try {
    app.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    return Printout{app.help()};
  } catch (const CLI::ParseError& error) {
    return Bad(Printable(absl::StrReplaceAll(error.what(), {{"\n", " "}}), 400), "; see --help");
  }
  if (raw.version) {
    return Printout{absl::StrCat("okms-k8s-encryption-provider ", kVersion, "\n")};
  }
  OKMS_ASSIGN_OR_RETURN(Config config, Validate(raw));
  return config;
}

}  // namespace okms
