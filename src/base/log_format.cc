// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/log_format.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "base/utf8.h"

namespace okms {
namespace {

// OneLine leaves nothing else that JSON would not take in a string.
std::string Quoted(absl::string_view text) {
  return absl::StrCat("\"", absl::StrReplaceAll(OneLine(text), {{"\\", "\\\\"}, {"\"", "\\\""}}),
                      "\"");
}

}  // namespace

std::optional<LogFormat> ParseLogFormat(absl::string_view text) {
  if (text == "auto") return LogFormat::kAuto;
  if (text == "text") return LogFormat::kText;
  if (text == "json") return LogFormat::kJson;
  return std::nullopt;
}

std::string TextOf(const Event& event) { return OneLine(event.text); }

std::string JsonOf(const Event& event) {
  std::string line = absl::StrCat(
      "{\"time\":\"",
      absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::FromChrono(event.time), absl::UTCTimeZone()),
      "\",\"severity\":\"", Name(event.severity), "\",\"event\":\"", Name(event.name),
      "\",\"message\":", Quoted(event.text));
  if (!event.key_id_hash.empty()) {
    absl::StrAppend(&line, ",\"key_id_hash\":", Quoted(event.key_id_hash));
  }
  if (!event.uid.empty()) absl::StrAppend(&line, ",\"uid\":", Quoted(event.uid));
  return line + "}";
}

}  // namespace okms
