// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The log: one line an event, on standard error.

#ifndef OKMS_BASE_LOG_H_
#define OKMS_BASE_LOG_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/event.h"
#include "base/log_format.h"

namespace okms {

// Immutable after construction and thread-safe. Secrets never reach it at any level: what --debug
// adds is the course of events, not contents.
class Logger {
 public:
  using Sink = std::function<void(const Event&)>;

  // Writes to StandardError().
  explicit Logger(bool debug);
  // Writes to `sink`, which must be thread-safe.
  Logger(bool debug, Sink sink);

  bool debug() const { return debug_; }

  void Write(const Event& event) const {
    if (debug_ || event.severity != Severity::kDebug) sink_(event);
  }
  void Error(EventName name, std::string line) const {
    Write({Severity::kError, name, std::move(line)});
  }
  void Warning(EventName name, std::string line) const {
    Write({Severity::kWarning, name, std::move(line)});
  }
  void Warnings(EventName name, const std::vector<std::string>& lines) const {
    for (const std::string& line : lines) Warning(name, line);
  }
  void WarnIfError(EventName name, const absl::Status& status) const {
    if (!status.ok()) Warning(name, std::string(status.message()));
  }
  void Notice(EventName name, std::string line) const {
    Write({Severity::kNotice, name, std::move(line)});
  }
  void Info(EventName name, std::string line) const {
    Write({Severity::kInfo, name, std::move(line)});
  }
  void Debug(std::string line) const {
    Write({Severity::kDebug, EventName::kDebug, std::move(line)});
  }

 private:
  bool debug_;
  Sink sink_;
};

// Writes to standard error, each event one line, whatever it holds; with a "<n>" prefix when that
// is the journal. Blocks while nobody reads. kAuto: to the journal with all fields where it is
// there; only what it does not take at once, or may be the last, goes to standard error. Call it
// before the sandbox.
Logger::Sink StandardError(LogFormat format = LogFormat::kAuto);

// What libraries log by themselves: errors only, on standard error, as theirs used to. Once, at the
// start: Abseil reads the time zone.
void QuietLibraries();

}  // namespace okms

#endif  // OKMS_BASE_LOG_H_
