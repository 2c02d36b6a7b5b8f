// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Whether the KMS takes our certificate. Its no is an alert, which with TLS 1.3 comes after our
// side of the handshake is done: what is written meanwhile may fail first.

#ifndef OKMS_NET_REFUSED_CERTIFICATE_H_
#define OKMS_NET_REFUSED_CERTIFICATE_H_

#include <openssl/ssl.h>

#include <string>

namespace okms {

// Whether that alert (RFC 8446 section 6.2) is about our certificate.
bool RefusesOurCertificate(int alert);

// For those who see no errors of OpenSSL's: has such alerts on connections of that context noted.
void NoteRefusals(SSL_CTX* context);
// OpenSSL's words for the one that this thread has read last; empty: none since ForgetRefusal.
std::string NotedRefusal();
void ForgetRefusal();

}  // namespace okms

#endif  // OKMS_NET_REFUSED_CERTIFICATE_H_
