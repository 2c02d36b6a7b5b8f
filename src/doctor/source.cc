// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/source.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "config/environment.h"
#include "doctor/environment_file.h"
#include "doctor/text_file.h"
#include "doctor/unit.h"
#include "version.h"

namespace okms::doctor {
namespace {

// Where systemd looks for a credential without a path (systemd.exec(5), LoadCredential=).
constexpr std::array kStores{"/etc/credstore/", "/run/credstore/", "/usr/local/lib/credstore/",
                             "/usr/lib/credstore/"};
// Flags that name the file of a credential of the same name.
constexpr std::array kFlags{"client-cert", "client-key", "ca", "encryption-key-id-file"};

// The file behind it; empty: there is none, and systemd passes none.
std::string FileOf(const Credential& credential, const std::string& unit) {
  if (credential.encrypted) return absl::StrCat("/run/credentials/", unit, "/", credential.name);
  if (absl::StartsWith(credential.path, "/")) return credential.path;
  for (const char* const store : kStores) {
    std::string path = absl::StrCat(store, credential.path);
    if (::access(path.c_str(), F_OK) == 0) return path;
  }
  return "";
}

absl::Status AddFile(const std::string& path, bool optional, Variables& variables) {
  const absl::StatusOr<std::string> text = ReadTextFile(path);
  if (optional && absl::IsNotFound(text.status())) return absl::OkStatus();
  if (!text.ok()) return text.status();
  for (auto& [name, value] : ParseEnvironmentFile(*text)) variables[name] = value;
  return absl::OkStatus();
}

absl::StatusOr<Found> FindUnit(std::string name) {
  if (!absl::StrContains(name, '.')) name += ".service";
  OKMS_ASSIGN_OR_RETURN(Unit unit, AskUnit(name));
  Found found;
  found.unit = name;
  found.user = unit.user;
  found.runs = unit.active_state == "active" || unit.active_state == "activating" ||
               unit.active_state == "reloading" || unit.active_state == "failed";
  for (const std::string& variable : unit.environment) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(variable, absl::MaxSplits('=', 1));
    found.variables[parts.first] = parts.second;
  }
  for (const Unit::File& file : unit.environment_files) {
    OKMS_RETURN_IF_ERROR(AddFile(file.path, file.optional, found.variables));
    found.file = file.path;
  }
  // A credential comes after a flag, and before a variable; of two flags the last one counts.
  for (const Credential& credential : unit.credentials) {
    if (std::find(kFlags.begin(), kFlags.end(), credential.name) == kFlags.end()) continue;
    const std::string file = FileOf(credential, name);
    if (file.empty()) continue;
    found.flags.push_back(absl::StrCat("--", credential.name, "=", file));
    found.passed.push_back(file);
  }
  if (!unit.command.empty()) {
    found.flags.insert(found.flags.end(), unit.command.begin() + 1, unit.command.end());
  }
  const std::string socket = absl::StrCat(absl::StripSuffix(name, ".service"), ".socket");
  if (const auto listens = ShowUnit(socket); listens.ok()) {
    if (const auto address = ParseSocketAddress(listens->listen); address.ok()) {
      found.socket = *address;
    }
  }
  return found;
}

}  // namespace

std::string DefaultUnit() { return absl::StrCat(kProgram, ".service"); }

std::string Found::Where() const {
  if (!unit.empty()) return absl::StrCat("unit ", unit);
  return file.empty() ? "flags and environment" : absl::StrCat("file ", file);
}

absl::StatusOr<Found> Find(const Source& source) {
  Found found;
  if (!source.environment_file.empty()) {
    OKMS_RETURN_IF_ERROR(AddFile(source.environment_file, /*optional=*/false, found.variables));
    found.file = source.environment_file;
  } else if (!source.unit.empty() || source.flags.empty()) {
    OKMS_ASSIGN_OR_RETURN(found, FindUnit(source.unit.empty() ? DefaultUnit() : source.unit));
  } else {
    found.own_environment = true;
  }
  found.flags.insert(found.flags.end(), source.flags.begin(), source.flags.end());
  return found;
}

void Become(const Found& found) {
  if (!found.own_environment) {
    std::vector<std::string> names;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
      const absl::string_view text = *entry;
      const absl::string_view name = text.substr(0, text.find('='));
      if (IsKept(name)) names.emplace_back(name);
    }
    for (const std::string& name : names) ::unsetenv(name.c_str());
    for (const auto& [name, value] : found.variables) {
      if (IsKept(name)) ::setenv(name.c_str(), value.c_str(), 1);
    }
  }
  ClearEnvironment();
}

}  // namespace okms::doctor
