// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What a certificate says, in words fit for one log line.

#ifndef OKMS_NET_X509_TEXT_H_
#define OKMS_NET_X509_TEXT_H_

#include <openssl/x509.h>

#include <string>

namespace okms {

// "Nov 27 02:00:00 2026 GMT".
std::string TimeText(const ASN1_TIME* time);

// "CN=Test CA,O=Example".
std::string NameText(const X509_NAME* name);

// The alternative names that a server can have, "kms.example, 192.0.2.1"; empty: none.
std::string AlternativeNames(const X509* certificate);

}  // namespace okms

#endif  // OKMS_NET_X509_TEXT_H_
