// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/refused_certificate.h"

#include <openssl/err.h>

namespace okms {
namespace {

thread_local int noted = SSL_AD_CLOSE_NOTIFY;  // which refuses nothing

void Note(const SSL*, int where, int level_and_alert) {
  const int alert = level_and_alert & 0xFF;
  if (where == SSL_CB_READ_ALERT && RefusesOurCertificate(alert)) noted = alert;
}

}  // namespace

bool RefusesOurCertificate(int alert) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED: return true;
    default: return false;
  }
}

void NoteRefusals(SSL_CTX* context) { SSL_CTX_set_info_callback(context, Note); }

std::string NotedRefusal() {
  if (!RefusesOurCertificate(noted)) return "";
  // The words of the error that it is for who reads it.
  const auto reason = static_cast<unsigned long>(SSL_AD_REASON_OFFSET + noted);
  const char* words =
      ERR_reason_error_string((static_cast<unsigned long>(ERR_LIB_SSL) << ERR_LIB_OFFSET) | reason);
  return words != nullptr ? words : SSL_alert_desc_string_long(noted);
}

void ForgetRefusal() { noted = SSL_AD_CLOSE_NOTIFY; }

}  // namespace okms
