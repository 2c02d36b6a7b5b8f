// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the log is told of: how bad, which kind, and a line for people.

#ifndef OKMS_BASE_EVENT_H_
#define OKMS_BASE_EVENT_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace okms {

// The numbers are syslog's, which the journal reads from a "<n>" prefix (sd-daemon(3)).
enum class Severity { kError = 3, kWarning = 4, kNotice = 5, kInfo = 6, kDebug = 7 };

// "error", "warning", ...
absl::string_view Name(Severity severity);

// All that there are, for programs that read the log: lines may be worded anew, these names stay.
// docs/operations.md says what each is; a test compares.
enum class EventName : uint8_t {
  // The process.
  kMisconfigured,
  kConfigurationWarning,
  kStartWarning,
  kStarted,
  kSignalIgnored,
  kStopping,
  kEnded,
  kStuck,
  kUnstuck,
  kLinesLeftOut,
  // The key.
  kKeyAdopted,
  kReadyAgain,
  kNotReady,
  kKeyNameNews,
  kKeyNameTrouble,
  kKeyNameHidden,
  kKeyFileTrouble,
  kKeyFileUsable,
  kOtherKeyUsed,
  // The KMS's hosts.
  kHostOut,
  kHostDisagrees,
  kHostBack,
  // Certificates.
  kCertificateEnds,
  kCertificateInvalid,
  kCertificateValid,
  kCertificateWarning,
  kCertificatesTaken,
  kCertificatesKept,
  kCertificatesRefused,
  // Who calls.
  kCallFailed,
  kCallsFailed,
  kOldApiRefused,
  kPeerRefused,
  kAcceptFailed,
  kSocketLost,
  kSocketBack,
  // Who watches.
  kStatusPages,
  kStatusPagesOpen,
  kStatusPagesTrouble,
  kBus,
  kBusTrouble,
  // What --debug adds.
  kDebug,  // the last
};

// "key-adopted", ...
absl::string_view Name(EventName name);

struct Event {
  Severity severity = Severity::kInfo;
  EventName name = EventName::kDebug;
  std::string text = {};
  std::string key_id_hash = {};  // KeyIdHash of the key that it is about; empty: of none
  std::string uid = {};          // of the request, by the apiserver, Printable; empty: of none
  std::chrono::system_clock::time_point time = std::chrono::system_clock::now();
};

}  // namespace okms

#endif  // OKMS_BASE_EVENT_H_
