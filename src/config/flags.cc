// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The flags and variables of the Go plugin, with its defaults, and a few of our own. As with Go's
// flag package, a long flag may have one dash or two, its value may follow "=" or a space, and the
// last one wins.
//
// CLI11 has the list, the help, and the order of flags, variables and defaults. What cannot be
// understood is found before it: it would stop at the first mistake, and in words of its own.

#include "config/flags.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <utility>

#include <CLI/CLI.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "config/help_text.h"
#include "config/nearest.h"
#include "version.h"

namespace okms {
namespace {

constexpr char kExamples[] =
    "Examples:\n"
    "  okms-k8s-encryption-provider --protocol kmip --serv-addr kms.example:5696 \\\n"
    "    --encryption-key-label etcd --client-cert client.pem --client-key client.key\n"
    "  okms-k8s-encryption-provider --protocol rest --serv-addr https://kms.example \\\n"
    "    --okms-id 734b9b45-8b1a-469c-b140-b10bd6540017 --encryption-key-label etcd \\\n"
    "    --client-cert client.pem --client-key client.key --check-config\n";

// The command line's list of flags, and what each text came from.
class Declaration {
 public:
  explicit Declaration(RawFlags& raw) {
    app_.get_formatter()->column_width(kDescription);
    app_.set_help_flag("-h,--help", "Print this help and exit");
    app_.footer(kExamples);
    Declare(raw);
  }

  CLI::App& app() { return app_; }

  // Takes white space off the ends of each value; what cannot be meant is a mistake.
  void CleanAll(Mistakes& mistakes) const;
  // OKMS_* variables that are not of this plugin, a line each.
  std::vector<std::string> UnknownVariables() const;
  std::vector<std::string> Flags() const;

 private:
  struct Value {
    const char* flag;
    const char* variable;
    std::string* text;
  };
  struct List {
    const char* flag;
    const char* variable;
    std::vector<std::string>* texts;
  };

  CLI::Option* Add(const char* names, std::string& value, const char* variable, const char* text) {
    values_.push_back({names, variable, &value});
    return app_.add_option(names, value, Wrapped(text))->envname(variable)->take_last();
  }
  CLI::Option* AddSwitch(const char* name, std::string& value, const char* variable,
                         const char* text) {
    values_.push_back({name, variable, &value});
    return app_.add_flag(name, value, Wrapped(text))->envname(variable)->take_last();
  }
  CLI::Option* AddList(const char* name, std::vector<std::string>& values, const char* variable,
                       const char* text) {
    lists_.push_back({name, variable, &values});
    return app_.add_option(name, values, Wrapped(text))->envname(variable)->allow_extra_args(false);
  }
  // As Add, for a file that systemd may pass (LoadCredential=NAME:..., with the flag's name). Such
  // a one comes after the flag, but before the variable: a unit takes an environment file as it is.
  CLI::Option* AddFile(const char* flag, std::string& value, const char* variable,
                       const char* text) {
    const std::string credential = CredentialOf(flag);
    if (credential.empty() || ::access(credential.c_str(), F_OK) != 0) {
      return Add(flag, value, variable, text);
    }
    value = credential;
    Add(flag, value, "", text);
    passed_.push_back(variable);
    return app_.get_option(flag);
  }
  void Declare(RawFlags& raw);

  CLI::App app_{"Kubernetes KMS v2 plugin for OVHcloud KMS and any KMIP server", kProgram};
  std::vector<Value> values_;
  std::vector<List> lists_;
  std::vector<std::string> passed_;  // variables in whose place systemd has passed a file
};

void Declaration::Declare(RawFlags& raw) {
  Add("--protocol", raw.protocol, "OKMS_PROTOCOL", "Protocol of the KMS: kmip or rest (required)")
      ->group("KMS");
  AddList("--serv-addr,--kmip-addr", raw.servers, "OKMS_SERV_ADDR",
          "The KMS (required): host:port for kmip, https://host for rest; several hosts of it with "
          "commas, the preferred one first")
      ->group("KMS");
  Add("--timeout", raw.timeout, "OKMS_TIMEOUT", "Bound of one operation, for example 10s or 1m30s")
      ->capture_default_str()
      ->group("KMS");
  Add("--max-connections", raw.max_connections, "OKMS_MAX_CONNECTIONS",
      "Connections to the KMS at most, 1 to 64. Default: 16 for kmip, 32 for rest")
      ->group("KMS");
  Add("--okms-id", raw.okms_id, "OKMS_ID", "Id of the OKMS domain, a UUID (required for rest)")
      ->group("KMS");

  Add("--encryption-key-id,--kmip-key-id", raw.key_id, "OKMS_KEY_ID",
      "Id of the key; this, the label or the file is required")
      ->group("Key");
  Add("--encryption-key-label", raw.key_label, "OKMS_KEY_LABEL",
      "Label of the key (KMIP Name, name of the service key); it must fit exactly one active key")
      ->group("Key");
  AddFile("--encryption-key-id-file", raw.key_id_file, "OKMS_KEY_ID_FILE",
          "File that holds the id of the key and nothing else; read again while running")
      ->group("Key");
  Add("--label-grace", raw.label_grace, "OKMS_LABEL_GRACE",
      "How long the label may fit no key or several before Status fails; the key in use stays")
      ->capture_default_str()
      ->group("Key");

  AddFile("--client-cert", raw.client_cert, "OKMS_CLIENT_CERT",
          "PEM file of the client certificate (required)")
      ->group("TLS");
  AddFile("--client-key", raw.client_key, "OKMS_CLIENT_KEY",
          "PEM file of the client certificate's key (required)")
      ->group("TLS");
  AddFile(
      "--ca", raw.ca, "OKMS_CA_CERT",
      "PEM file of the CA that signed the KMS's certificate; kmip then trusts only it, rest the "
      "system's roots as well. Default: the system's roots")
      ->group("TLS");
  AddSwitch("--ca-only", raw.ca_only, "OKMS_CA_ONLY", "Trust only --ca with rest too")
      ->group("TLS");

  Add("--sock", raw.socket, "OKMS_SOCK",
      "Unix socket to listen on: /path, unix:///path or @abstract-name; unused when systemd passes "
      "a socket named kms")
      ->capture_default_str()
      ->group("Socket");
  Add("--sock-group", raw.socket_group, "OKMS_SOCK_GROUP",
      "Group of the socket file, by name or number")
      ->group("Socket");
  AddList("--allow-uid", raw.allowed_uids, "OKMS_ALLOW_UID",
          "A user that may connect, besides root and our own; several with commas")
      ->group("Socket");
  AddList("--allow-gid", raw.allowed_gids, "OKMS_ALLOW_GID",
          "A group that may connect; several with commas")
      ->group("Socket");

  Add("--status-listen", raw.status_listen, "OKMS_STATUS_LISTEN",
      "Where to serve status pages over HTTP: unix:/path or host:port, of a loopback address; "
      "unused when systemd passes a socket named status. Default: nowhere")
      ->group("Status pages");
  AddSwitch("--status-listen-anywhere", raw.status_listen_anywhere, "OKMS_STATUS_LISTEN_ANYWHERE",
            "Let --status-listen name any address of this machine")
      ->group("Status pages");

  Add("--user", raw.user, "OKMS_USER",
      "Whom to become when root started it: a name, or NUMBER:NUMBER. Default: okms-kms, or "
      "a free id where there is no such user")
      ->group("Process");
  AddSwitch("--check-config", raw.check_config, "",
            "Say what is wrong with flags, variables and files, and exit: 0 when all is well");
  AddSwitch("--debug", raw.debug, "OKMS_DEBUG",
            "Log the course of events in detail (never their contents)");
  Add("--log-format", raw.log_format, "OKMS_LOG_FORMAT",
      "Form of the log: text, json, or auto, which is text, with fields in systemd's journal")
      ->capture_default_str();
  AddSwitch("--version", raw.version, "", "Print the version and exit");
}

// A line's end, blanks: what a file of variables or a copied line adds, and nobody means. Quotes
// are what a file adds whose reader takes none away; a path or a label could have them.
void Clean(absl::string_view flags, absl::string_view variable, std::string& text,
           Mistakes& mistakes) {
  const absl::string_view flag = flags.substr(0, flags.find(','));
  const std::string perhaps = variable.empty() ? "" : absl::StrCat(" (or ", variable, ")");
  text = std::string(absl::StripAsciiWhitespace(text));
  const bool quoted = text.size() >= 2 && text.front() == text.back() &&
                      (text.front() == '"' || text.front() == '\'');
  if (absl::StrContains(text, "-----BEGIN ")) {
    mistakes.AddUnreadable(flag, perhaps, ": is PEM itself; give the path of a file that holds it");
  } else if (std::any_of(text.begin(), text.end(), absl::ascii_iscntrl)) {
    mistakes.AddUnreadable(flag, perhaps, " \"", Printable(text),
                           "\": has a line break or another control character in it; take it out");
  } else if (quoted) {
    mistakes.AddUnreadable(flag, perhaps, " ", Printable(text),
                           ": the quotes would be part of the value; leave them out");
  }
}

// At commas; CLI11 would leave out what is empty, and who left it empty meant something.
void Split(absl::string_view flags, std::vector<std::string>& texts, Mistakes& mistakes) {
  std::vector<std::string> values;
  for (const std::string& text : texts) {
    for (absl::string_view value : absl::StrSplit(text, ',')) {
      values.emplace_back(absl::StripAsciiWhitespace(value));
    }
  }
  texts = std::move(values);
  const auto empty = [](const std::string& text) { return text.empty(); };
  if (std::all_of(texts.begin(), texts.end(), empty)) {
    texts.clear();
  } else if (std::any_of(texts.begin(), texts.end(), empty)) {
    mistakes.AddUnreadable(flags.substr(0, flags.find(',')),
                           ": an empty value among several; take the comma away, or fill it in");
  }
}

void Declaration::CleanAll(Mistakes& mistakes) const {
  for (const auto& [flags, variable, text] : values_) Clean(flags, variable, *text, mistakes);
  for (const auto& [flags, variable, texts] : lists_) {
    Split(flags, *texts, mistakes);
    for (std::string& text : *texts) Clean(flags, variable, text, mistakes);
  }
}

std::vector<std::string> Declaration::UnknownVariables() const {
  std::vector<std::string> known = passed_;
  for (const CLI::Option* option : app_.get_options()) known.push_back(option->get_envname());
  std::vector<std::string> lines;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const absl::string_view text = *entry;
    const absl::string_view name = text.substr(0, text.find('='));
    if (!absl::StartsWith(name, "OKMS_") || std::count(known.begin(), known.end(), name) > 0) {
      continue;
    }
    const std::string nearest = Nearest(name, known);
    lines.push_back(absl::StrCat(
        Printable(name), " is no variable of this plugin, and has no effect",
        nearest.empty() ? "; --help lists them" : absl::StrCat("; did you mean ", nearest, "?")));
  }
  return lines;
}

std::vector<std::string> Declaration::Flags() const {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app_.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back(absl::StrCat("--", name));
  }
  return flags;
}

// The arguments as CLI11 takes them all: each flag with two dashes, and its value, which may be
// empty or begin with a dash, with it. What is none of them is a mistake, and left out.
std::vector<std::string> AsCli11(Declaration& declared, const std::vector<std::string>& arguments,
                                 Mistakes& mistakes) {
  const CLI::App& app = declared.app();
  const auto long_name = [](const std::string& argument) {
    std::string name = argument.substr(0, argument.find('='));
    if (name.size() > 2 && name[0] == '-' && name[1] != '-') name.insert(0, "-");
    return name;
  };
  const auto is_flag = [&](const std::string& argument) {
    return absl::StartsWith(argument, "-") &&
           app.get_option_no_throw(long_name(argument)) != nullptr;
  };
  std::vector<std::string> result;
  for (auto argument = arguments.begin(); argument != arguments.end(); ++argument) {
    const std::string name = long_name(*argument);
    const auto next = argument + 1;
    const bool has_next = next != arguments.end();
    const std::size_t equals = argument->find('=');
    if (const CLI::Option* const option = app.get_option_no_throw(name)) {
      const bool is_switch = option->get_expected_min() == 0;
      if (is_switch) {
        result.push_back(absl::StrCat(name, argument->substr(std::min(equals, argument->size()))));
        continue;
      }
      if (equals == std::string::npos && (!has_next || is_flag(*next))) {
        mistakes.AddUnreadable(name, " needs a value; give it after = or a space");
        continue;
      }
      const std::string value =
          equals == std::string::npos ? *++argument : argument->substr(equals + 1);
      if (value.empty()) {
        result.insert(result.end(), {name, ""});
      } else {
        result.push_back(absl::StrCat(name, "=", value));
      }
    } else if (absl::StartsWith(*argument, "-")) {
      const std::string nearest = Nearest(name, declared.Flags());
      mistakes.Add(Printable(argument->substr(0, equals)), ": no such flag; ",
                   nearest.empty() ? "see --help" : absl::StrCat("did you mean ", nearest, "?"));
      // What follows is its value, most likely.
      if (equals == std::string::npos && has_next && !absl::StartsWith(*next, "-")) ++argument;
    } else {
      mistakes.Add("\"", Printable(*argument),
                   "\" follows no flag; all is said by flags, see --help");
    }
  }
  return result;
}

}  // namespace

std::string CredentialOf(absl::string_view flag) {
  const char* const directory = std::getenv("CREDENTIALS_DIRECTORY");
  return directory == nullptr ? "" : absl::StrCat(directory, "/", absl::StripPrefix(flag, "--"));
}

std::variant<RawFlags, Printout> ReadFlags(const std::vector<std::string>& argv,
                                           Mistakes& mistakes) {
  RawFlags raw;
  Declaration declared(raw);
  std::vector<std::string> arguments =
      AsCli11(declared, {argv.begin() + (argv.empty() ? 0 : 1), argv.end()}, mistakes);
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes the last one first
  try {
    declared.app().parse(arguments);
  } catch (const CLI::CallForHelp&) {
    return Printout{declared.app().help()};
  } catch (const CLI::ParseError& error) {  // none is known
    mistakes.Add(Printable(error.what(), 400), "; see --help");
  }
  declared.CleanAll(mistakes);
  raw.unknown_variables = declared.UnknownVariables();
  return raw;
}

}  // namespace okms
