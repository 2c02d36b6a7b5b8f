// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The log: one line an event, on standard error.

#ifndef OKMS_BASE_LOG_H_
#define OKMS_BASE_LOG_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace okms {

// The numbers are syslog's, which the journal reads from a "<n>" prefix (sd-daemon(3)).
enum class Severity { kError = 3, kWarning = 4, kNotice = 5, kInfo = 6, kDebug = 7 };

// Immutable after construction and thread-safe. Secrets never reach it at any level: what --debug
// adds is the course of events, not contents.
class Logger {
 public:
  using Sink = std::function<void(Severity, absl::string_view line)>;

  // Writes to StandardError().
  explicit Logger(bool debug);
  // Writes to `sink`, which must be thread-safe.
  Logger(bool debug, Sink sink);

  bool debug() const { return debug_; }

  void Write(Severity severity, absl::string_view line) const {
    if (debug_ || severity != Severity::kDebug) sink_(severity, line);
  }
  void Error(absl::string_view line) const { sink_(Severity::kError, line); }
  void Warning(absl::string_view line) const { sink_(Severity::kWarning, line); }
  void Warnings(const std::vector<std::string>& lines) const {
    for (const std::string& line : lines) Warning(line);
  }
  void WarnIfError(const absl::Status& status) const {
    if (!status.ok()) Warning(status.message());
  }
  void Notice(absl::string_view line) const { sink_(Severity::kNotice, line); }
  void Info(absl::string_view line) const { sink_(Severity::kInfo, line); }
  void Debug(absl::string_view line) const {
    if (debug_) sink_(Severity::kDebug, line);
  }

 private:
  bool debug_;
  Sink sink_;
};

// Writes to standard error, each time one line, whatever the text holds; with a "<n>" prefix when
// that is the journal. Blocks while nobody reads.
Logger::Sink StandardError();

// What libraries log by themselves: errors only, on standard error, as theirs used to. Once, at the
// start: Abseil reads the time zone.
void QuietLibraries();

}  // namespace okms

#endif  // OKMS_BASE_LOG_H_
