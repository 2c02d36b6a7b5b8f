// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which certificate of the KMS is the right one, and what is wrong with another.

#ifndef OKMS_NET_PEER_CERTIFICATE_H_
#define OKMS_NET_PEER_CERTIFICATE_H_

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <string>

namespace okms {

// Has all connections of this context verify the peer's certificate. Each certificate in its store
// is an anchor, an intermediate one as well: an administrator named it. As for Go, a certificate
// may be for any purpose (anyExtendedKeyUsage) in place of servers.
void VerifyPeer(SSL_CTX* context);

// Whom the KMS's certificate must name: an IP address by its iPAddress entry, all else by dNSName;
// the subject's common name never counts (RFC 9525), nor does a dot at the end of `host`. False
// when OpenSSL does not take the name.
bool ExpectHost(X509_VERIFY_PARAM* param, const std::string& host);

// Why this thread's latest handshake refused the peer's certificate, and what to do: "REASON:
// FACTS; REMEDY". Empty when it did not, or when that was asked before. Like OpenSSL's queue of
// errors, it belongs to the thread: the two have to be read after the same call.
std::string TakeRefusal();

}  // namespace okms

#endif  // OKMS_NET_PEER_CERTIFICATE_H_
