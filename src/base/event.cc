// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/event.h"

namespace okms {

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

absl::string_view Name(EventName name) {
  switch (name) {
    case EventName::kMisconfigured: return "misconfigured";
    case EventName::kConfigurationWarning: return "configuration-warning";
    case EventName::kStartWarning: return "start-warning";
    case EventName::kStarted: return "started";
    case EventName::kSignalIgnored: return "signal-ignored";
    case EventName::kStopping: return "stopping";
    case EventName::kEnded: return "ended";
    case EventName::kStuck: return "stuck";
    case EventName::kUnstuck: return "unstuck";
    case EventName::kLinesLeftOut: return "lines-left-out";
    case EventName::kKeyAdopted: return "key-adopted";
    case EventName::kReadyAgain: return "ready-again";
    case EventName::kNotReady: return "not-ready";
    case EventName::kKeyNameNews: return "key-name-news";
    case EventName::kKeyNameTrouble: return "key-name-trouble";
    case EventName::kKeyNameHidden: return "key-name-hidden";
    case EventName::kKeyFileTrouble: return "key-file-trouble";
    case EventName::kKeyFileUsable: return "key-file-usable";
    case EventName::kOtherKeyUsed: return "other-key-used";
    case EventName::kHostOut: return "host-out";
    case EventName::kHostDisagrees: return "host-disagrees";
    case EventName::kHostBack: return "host-back";
    case EventName::kCertificateEnds: return "certificate-ends";
    case EventName::kCertificateInvalid: return "certificate-invalid";
    case EventName::kCertificateValid: return "certificate-valid";
    case EventName::kCertificateWarning: return "certificate-warning";
    case EventName::kCertificatesTaken: return "certificates-taken";
    case EventName::kCertificatesKept: return "certificates-kept";
    case EventName::kCertificatesRefused: return "certificates-refused";
    case EventName::kCallFailed: return "call-failed";
    case EventName::kCallsFailed: return "calls-failed";
    case EventName::kOldApiRefused: return "old-api-refused";
    case EventName::kPeerRefused: return "peer-refused";
    case EventName::kAcceptFailed: return "accept-failed";
    case EventName::kSocketLost: return "socket-lost";
    case EventName::kSocketBack: return "socket-back";
    case EventName::kStatusPages: return "status-pages";
    case EventName::kStatusPagesOpen: return "status-pages-open";
    case EventName::kStatusPagesTrouble: return "status-pages-trouble";
    case EventName::kBus: return "bus";
    case EventName::kBusTrouble: return "bus-trouble";
    case EventName::kDebug: return "debug";
  }
  return "?";
}

}  // namespace okms
