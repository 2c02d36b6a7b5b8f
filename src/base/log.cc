// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/log.h"

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>

#ifdef OKMS_ABSEIL_LOGS
#include "absl/log/initialize.h"
#endif
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/utf8.h"

namespace okms {
namespace {

absl::string_view Name(Severity severity) {
  switch (severity) {
    case Severity::kError: return "error";
    case Severity::kWarning: return "warning";
    case Severity::kNotice: return "notice";
    case Severity::kInfo: return "info";
    case Severity::kDebug: return "debug";
  }
  return "?";
}

}  // namespace

Logger::Sink StandardError() {
  const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
  return [journal](Severity severity, absl::string_view line) {
    const std::string text =
        journal ? absl::StrCat("<", static_cast<int>(severity), ">", OneLine(line), "\n")
                : absl::StrCat(Name(severity), ": ", OneLine(line), "\n");
    // One write(2), so that lines of several threads do not mix. A log that cannot be written is no
    // reason to stop serving, so a failure is let go.
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
  };
}

Logger::Logger(bool debug) : Logger(debug, StandardError()) {}

Logger::Logger(bool debug, Sink sink) : debug_(debug), sink_(std::move(sink)) {}

void QuietLibraries() {
#ifdef OKMS_ABSEIL_LOGS  // gRPC's, since 1.66
  absl::InitializeLog();
#endif
}

}  // namespace okms
