// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/config_checks.h"

#include <unistd.h>

#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "app/protocols.h"
#include "base/status.h"
#include "doctor/as_user.h"
#include "http/proxy.h"
#include "sandbox/privileges.h"
#include "version.h"

namespace okms::doctor {
namespace {

Verdicts EachLine(Outcome outcome, absl::string_view lines, const std::string& mend) {
  Verdicts verdicts;
  for (const absl::string_view line : absl::StrSplit(lines, '\n')) {
    verdicts.push_back({outcome, std::string(line), mend});
  }
  return verdicts;
}

// Over REST a connection may go by a proxy, which knows the names then.
absl::Status AddEndpoints(Examination& all) {
  for (const Server& server : all.config->servers) {
    OKMS_RETURN_IF_ERROR(all.config->protocol->hosts(*all.config, server).status());
    Endpoint endpoint;
    endpoint.name = server.Name();
    endpoint.server = &server;
    endpoint.target = server.host;
    if (server.over_rest()) {
      if (const auto proxy = http::ProxyFor(server.host)) {
        endpoint.proxied = true;
        if (proxy->server) endpoint.target = *proxy->server;
      }
    }
    all.endpoints.push_back(std::move(endpoint));
  }
  return absl::OkStatus();
}

// There is no systemctl(1), or it is no use: in a container, for one.
bool IsWithoutSystemd(const absl::Status& status) {
  return absl::StartsWith(status.message(), "systemctl: ") &&
         (absl::IsNotFound(status) ||
          absl::StrContains(status.message(), "has not been booted with systemd"));
}

std::string WithAFile(Request request) {
  request.source.unit.clear();
  request.source.environment_file = "FILE";
  return CheckCommand(request);
}

}  // namespace

Verdicts CheckSource(Examination& all) {
  absl::StatusOr<Found> found = Find(all.request.source);
  if (!found.ok()) {
    const std::string& file = all.request.source.environment_file;
    const std::string mend = absl::StrCat(file.empty() ? "systemctl list-unit-files 'okms*'"
                                                       : absl::StrCat("ls -l ", file));
    std::string line(found.status().message());
    // Somebody else might see more.
    const bool hidden =
        absl::IsPermissionDenied(found.status()) || absl::IsUnavailable(found.status());
    if (file.empty() && IsWithoutSystemd(found.status())) {
      absl::StrAppend(&line,
                      "; without systemd, name the file of variables, or give the plugin's "
                      "flags after --");
      const std::string other = WithAFile(all.request);
      return hidden ? Unknown(line, other) : Failed(line, other);
    }
    return hidden ? Unknown(line, absl::StrCat("sudo ", mend)) : Failed(line, mend);
  }
  all.found = *std::move(found);
  Become(all.found);
  return Passed(absl::StrCat("the configuration is that of ", all.found.Where()));
}

Verdicts CheckFlags(Examination& all) {
  const std::string mend = all.EditCommand();
  std::vector<std::string> argv{kProgram};
  argv.insert(argv.end(), all.found.flags.begin(), all.found.flags.end());
  if (!all.request.key_id.empty()) {
    // In place of the key of the configuration, whatever names that one.
    for (const char* const other : {"--encryption-key-label=", "--encryption-key-id-file="}) {
      argv.emplace_back(other);
    }
    argv.push_back(absl::StrCat("--encryption-key-id=", all.request.key_id));
  }
  auto parsed = ParseConfig(argv, Protocols());
  if (!parsed.ok()) return EachLine(Outcome::kFailed, parsed.status().message(), mend);
  if (std::holds_alternative<Printout>(*parsed)) {
    return Failed("--help and --version are no configuration; leave them out", mend);
  }
  all.config = std::get<Config>(*std::move(parsed));
  if (absl::Status status = AddEndpoints(all); !status.ok()) {
    all.config.reset();
    all.endpoints.clear();
    return Failed(std::string(status.message()), "apt-get install libcurl4");
  }
  Verdicts verdicts;
  for (const std::string& line : all.config->warnings) {
    verdicts.push_back({Outcome::kWarning, line, mend});
  }
  return verdicts.empty() ? Passed("flags and variables say all that is needed") : verdicts;
}

Verdicts CheckUser(Examination& all) {
  // Of a unit that names one systemd takes care; else the plugin becomes that user itself.
  if (!all.found.user.empty()) {
    if (absl::Status status = FindUser(all.found.user).status(); !status.ok()) {
      return Failed(absl::StrCat("User= of ", all.found.unit, ": ", status.message()),
                    "systemd-sysusers");
    }
  } else if (absl::Status status = sandbox::CheckUser(all.config->user); !status.ok()) {
    // Who is not root can become nobody, whoever there is.
    const std::string& user = all.config->user;
    if (::geteuid() != 0 && FindUser(user.substr(0, user.find(':'))).ok()) {
      return Unknown(std::string(status.message()), all.AsRoot());
    }
    return Failed(std::string(status.message()), "systemd-sysusers");
  }
  return Passed("the user is one that there is");
}

}  // namespace okms::doctor
