// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/command_line.h"

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "app/protocols.h"
#include "app/service_state.h"
#include "base/log.h"
#include "base/log_format.h"
#include "config/flags.h"
#include "config/mistakes.h"

namespace okms {
namespace {

// As far as that can be told from a command line with mistakes.
LogFormat AskedFormat(const std::vector<std::string>& argv) {
  Mistakes told;
  const auto read = ReadFlags(argv, told);
  const RawFlags* const raw = std::get_if<RawFlags>(&read);
  const auto format = raw != nullptr ? ParseLogFormat(raw->log_format) : std::nullopt;
  return format.value_or(LogFormat::kAuto);
}

}  // namespace

std::variant<Config, int> ReadCommandLine(const std::vector<std::string>& argv) {
  auto parsed = ParseConfig(argv, Protocols());
  if (!parsed.ok()) {
    const absl::string_view mistakes = parsed.status().message();
    const Logger log(false, StandardError(AskedFormat(argv)));
    for (const absl::string_view mistake : absl::StrSplit(mistakes, '\n')) {
      log.Error(EventName::kMisconfigured, std::string(mistake));
    }
    ServiceState().Ended(absl::InvalidArgumentError(absl::StrReplaceAll(mistakes, {{"\n", "; "}})));
    return kUsageError;
  }
  if (const auto* printout = std::get_if<Printout>(&*parsed)) {
    const bool written =
        std::fputs(printout->text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
    return written ? EXIT_SUCCESS : kRunTimeError;
  }
  return std::get<Config>(*std::move(parsed));
}

}  // namespace okms
