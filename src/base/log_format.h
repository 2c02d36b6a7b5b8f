// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// An event as one line.

#ifndef OKMS_BASE_LOG_FORMAT_H_
#define OKMS_BASE_LOG_FORMAT_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/event.h"

namespace okms {

enum class LogFormat {
  kAuto,  // to the journal with its fields, where that is standard error; else kText
  kText,
  kJson,
};

// Of "auto", "text" and "json"; else none.
std::optional<LogFormat> ParseLogFormat(absl::string_view text);

// What people read, whatever the text of the event holds; without the line's end.
std::string TextOf(const Event& event);

// An object of RFC 8259: time (RFC 3339, UTC), severity, event, message, and key_id_hash and uid
// where the event has them; without the line's end.
std::string JsonOf(const Event& event);

}  // namespace okms

#endif  // OKMS_BASE_LOG_FORMAT_H_
