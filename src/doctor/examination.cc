// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/examination.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "sandbox/privileges.h"
#include "version.h"

namespace okms::doctor {
namespace {

// As one word of a shell's.
std::string Word(absl::string_view text) {
  constexpr absl::string_view kPlain = "%+,-./:=@_";
  const bool plain = std::all_of(text.begin(), text.end(), [&](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains(kPlain, c);
  });
  if (plain && !text.empty()) return std::string(text);
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

std::string Option(absl::string_view name, const std::string& value) {
  return value.empty() ? "" : absl::StrCat(" ", name, " ", Word(value));
}

std::string UnitOf(const Examination& all) {
  return all.found.unit.empty() ? DefaultUnit() : all.found.unit;
}

bool OfAFile(const Examination& all) { return !all.request.source.environment_file.empty(); }

}  // namespace

std::string TookText(Clock::duration took) {
  return absl::FormatDuration(absl::Ceil(absl::FromChrono(took), absl::Milliseconds(1)));
}

std::string CheckCommand(const Request& request) {
  std::string command = absl::StrCat(
      "okms-kms-ctl check", Option("--unit", request.source.unit),
      Option("--env-file", request.source.environment_file), Option("--key", request.key_id),
      Option("--as", request.as_user), Option("--encryption-config", request.encryption_config));
  if (!request.source.flags.empty()) absl::StrAppend(&command, " --");
  for (const std::string& flag : request.source.flags) absl::StrAppend(&command, " ", Word(flag));
  return command;
}

std::string Examination::EditCommand() const {
  if (!found.file.empty()) return absl::StrCat("${EDITOR:-vi} ", found.file);
  if (!found.unit.empty()) return absl::StrCat("systemctl edit ", found.unit);
  return absl::StrCat(kProgram, " --help");
}

std::string Examination::StartCommand() const {
  if (!OfAFile(*this)) return absl::StrCat("systemctl start ", UnitOf(*this));
  std::error_code error;  // systemd wants a whole path
  const auto path = std::filesystem::absolute(request.source.environment_file, error);
  return absl::StrCat("systemd-run --property=", Word("EnvironmentFile=" + path.string()), " ",
                      kProgram);
}

std::string Examination::StatusCommand() const {
  if (!OfAFile(*this)) return absl::StrCat("systemctl status ", UnitOf(*this));
  return absl::StrCat("okms-kms-ctl status --socket ", Word(socket().ToString()));
}

std::string Examination::LogCommand() const {
  return OfAFile(*this) ? absl::StrCat("journalctl -t ", kProgram)
                        : absl::StrCat("journalctl -u ", UnitOf(*this));
}

std::string Examination::ReloadCommand(const std::string& path) const {
  // By the name of a process, of which proc(5) keeps 15 bytes.
  if (OfAFile(*this)) {
    return absl::StrCat("pkill -HUP -x ", absl::string_view(kProgram).substr(0, 15));
  }
  // Before systemd 260 only a start passes a service new files.
  const bool passed = std::count(found.passed.begin(), found.passed.end(), path) > 0;
  return absl::StrCat("systemctl ", passed ? "restart " : "reload ", UnitOf(*this));
}

std::string Examination::WithAnotherKey() const {
  Request other = request;
  other.key_id = "ANOTHER-ID";
  other.as_user.clear();
  other.encryption_config.clear();
  return CheckCommand(other);
}

std::string Examination::User() const {
  if (!found.user.empty()) return found.user;
  return config && !config->user.empty() ? config->user : sandbox::kDefaultUser;
}

}  // namespace okms::doctor
