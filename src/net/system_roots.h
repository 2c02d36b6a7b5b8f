// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The CA certificates that this machine trusts.

#ifndef OKMS_NET_SYSTEM_ROOTS_H_
#define OKMS_NET_SYSTEM_ROOTS_H_

#include <memory>
#include <string>

#include "net/unread_certificates.h"

namespace okms {

// All of them now: later no file is in reach, and OpenSSL's own way would look one up in its
// directory when a certificate needs it. From the file and the directories that OpenSSL names, or
// SSL_CERT_FILE and SSL_CERT_DIR. What cannot be read is passed over.
std::shared_ptr<const UnreadCertificates> ReadSystemRoots();

// Where it looks: "FILE, DIRECTORY".
std::string SystemRootPlaces();

}  // namespace okms

#endif  // OKMS_NET_SYSTEM_ROOTS_H_
