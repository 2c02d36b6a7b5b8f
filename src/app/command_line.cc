// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/command_line.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "app/protocols.h"
#include "app/service_state.h"
#include "base/log.h"

namespace okms {

std::variant<Config, int> ReadCommandLine(const std::vector<std::string>& argv) {
  auto parsed = ParseConfig(argv, Protocols());
  if (!parsed.ok()) {
    const absl::string_view mistakes = parsed.status().message();
    for (const absl::string_view mistake : absl::StrSplit(mistakes, '\n')) {
      Logger(false).Error(mistake);
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
