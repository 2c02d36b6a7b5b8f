// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/log.h"

#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#ifdef OKMS_ABSEIL_LOGS
#include "absl/log/initialize.h"
#endif
#include "absl/strings/str_cat.h"
#include "base/journal.h"

namespace okms {
namespace {

// Whether the process may end right after it. The journal looks up by the process whose an entry
// is, when it reads it: of one that is gone it would be nobody's, and not among the lines of its
// unit. The stream is the unit's, whoever writes there.
bool MayBeTheLast(EventName name) {
  return name == EventName::kMisconfigured || name == EventName::kConfigurationWarning ||
         name == EventName::kStartWarning || name == EventName::kEnded;
}

}  // namespace

Logger::Sink StandardError(LogFormat format) {
  const bool prefixed = IsJournal(STDERR_FILENO);
  // Shared by the copies of the sink.
  const std::shared_ptr<const Journal> journal =
      prefixed && format == LogFormat::kAuto ? Journal::Connect() : nullptr;
  return [format, prefixed, journal](const Event& event) {
    if (journal != nullptr && !MayBeTheLast(event.name) && journal->Send(event)) return;
    const bool json = format == LogFormat::kJson;
    const std::string line =
        absl::StrCat(prefixed ? absl::StrCat("<", static_cast<int>(event.severity), ">")
                     : json   ? ""
                              : absl::StrCat(Name(event.severity), ": "),
                     json ? JsonOf(event) : TextOf(event), "\n");
    // One write(2), so that lines of several threads do not mix. A log that cannot be written is no
    // reason to stop serving, so a failure is let go.
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
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
