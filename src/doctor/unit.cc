// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/unit.h"

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "doctor/environment_file.h"
#include "doctor/program.h"

namespace okms::doctor {
namespace {

// "{ path=/usr/bin/x ; argv[]=/usr/bin/x --flag ; ignore_errors=no ; ...".
std::vector<std::string> CommandIn(absl::string_view value) {
  constexpr absl::string_view kBegin = "argv[]=";
  const std::size_t begin = value.find(kBegin);
  if (begin == absl::string_view::npos) return {};
  value.remove_prefix(begin + kBegin.size());
  return SplitWords(value.substr(0, value.find(" ; ignore_errors=")));
}

// The few specifiers that a path of a credential has any use for (systemd.unit(5)).
std::string Expanded(absl::string_view text, absl::string_view unit) {
  const absl::string_view name = unit.substr(0, unit.rfind('.'));
  const std::size_t at = name.find('@');
  const absl::string_view instance =
      at == absl::string_view::npos ? absl::string_view() : name.substr(at + 1);
  return absl::StrReplaceAll(text, {{"%N", name},
                                    {"%n", unit},
                                    {"%i", instance},
                                    {"%I", instance},
                                    {"%p", name.substr(0, at)},
                                    {"%%", "%"}});
}

}  // namespace

Unit ParseShow(absl::string_view text) {
  Unit unit;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    const auto& [name, value] = parts;
    if (name == "LoadState") unit.load_state = std::string(value);
    if (name == "ActiveState") unit.active_state = std::string(value);
    if (name == "User") unit.user = std::string(value);
    if (name == "ExecStart") unit.command = CommandIn(value);
    if (name == "Environment") unit.environment = SplitWords(value);
    if (name == "EnvironmentFiles" && !value.empty()) {
      absl::string_view path = value;
      const bool optional = absl::ConsumeSuffix(&path, " (ignore_errors=yes)");
      absl::ConsumeSuffix(&path, " (ignore_errors=no)");
      unit.environment_files.push_back({std::string(path), optional});
    }
    if (name == "Listen" && unit.listen.empty()) {
      unit.listen = std::string(value.substr(0, value.rfind(" (")));
    }
  }
  return unit;
}

std::vector<Credential> ParseCredentials(absl::string_view text, absl::string_view name) {
  std::vector<Credential> credentials;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    const bool encrypted = absl::ConsumePrefix(&line, "LoadCredentialEncrypted=");
    if (!encrypted && !absl::ConsumePrefix(&line, "LoadCredential=")) continue;
    if (line.empty()) {  // what came before does not count
      std::erase_if(credentials,
                    [&](const Credential& each) { return each.encrypted == encrypted; });
      continue;
    }
    const std::string expanded = Expanded(line, name);
    const std::size_t colon = expanded.find(':');
    credentials.push_back({expanded.substr(0, colon),
                           colon == std::string::npos ? expanded : expanded.substr(colon + 1),
                           encrypted});
  }
  return credentials;
}

absl::StatusOr<Unit> ShowUnit(const std::string& name) {
  OKMS_ASSIGN_OR_RETURN(
      const std::string shown,
      OutputOf({"systemctl", "show", "--no-pager",
                "--property=LoadState,ActiveState,User,ExecStart,Environment,EnvironmentFiles,"
                "Listen",
                "--", name}));
  Unit unit = ParseShow(shown);
  if (unit.load_state != "loaded") {
    return absl::NotFoundError(
        absl::StrCat(Printable(name), ": systemd has no such unit (", unit.load_state, ")"));
  }
  return unit;
}

absl::StatusOr<Unit> AskUnit(const std::string& name) {
  OKMS_ASSIGN_OR_RETURN(Unit unit, ShowUnit(name));
  OKMS_ASSIGN_OR_RETURN(const std::string files,
                        OutputOf({"systemctl", "cat", "--no-pager", "--", name}));
  unit.credentials = ParseCredentials(files, name);
  return unit;
}

}  // namespace okms::doctor
