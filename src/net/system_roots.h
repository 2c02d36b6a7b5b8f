// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The CA certificates that this machine trusts.

#ifndef OKMS_NET_SYSTEM_ROOTS_H_
#define OKMS_NET_SYSTEM_ROOTS_H_

#include <openssl/x509_vfy.h>

#include <string>

namespace okms {

// Has `store` have them, all of them now: later no file is in reach, and OpenSSL's own way would
// look one up in its directory when a certificate needs it. They are parsed when they are needed
// (UnreadCertificates). From the file and the directories that OpenSSL names, or SSL_CERT_FILE and
// SSL_CERT_DIR. What cannot be read is passed over.
void AddSystemRoots(X509_STORE* store);

// Where it looks: "FILE, DIRECTORY".
std::string SystemRootPlaces();

}  // namespace okms

#endif  // OKMS_NET_SYSTEM_ROOTS_H_
