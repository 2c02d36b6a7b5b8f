// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// CA certificates that are parsed when the first one that they may have issued is verified.

#ifndef OKMS_NET_UNREAD_CERTIFICATES_H_
#define OKMS_NET_UNREAD_CERTIFICATES_H_

#include <openssl/x509_vfy.h>

#include <cstddef>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "base/guarded.h"

namespace okms {

// OpenSSL takes a third of a millisecond to parse a certificate, most of it for its key, and a
// system has some 150, of which a KMS needs one. So only their subjects are read beforehand.
// Whoever verifies by the store finds all of them: what is asked for goes into it by then. No file
// is needed for that.
class UnreadCertificates {
 public:
  // Those that `store` has, and goes on having as long as it lives. Before anything is verified by
  // it: it replaces how it looks for issuers.
  static UnreadCertificates& Of(X509_STORE* store);

  // How many a store has, if it has any.
  static std::size_t CountOf(const X509_STORE* store);

  UnreadCertificates() = default;
  UnreadCertificates(const UnreadCertificates&) = delete;
  UnreadCertificates& operator=(const UnreadCertificates&) = delete;

  // Those of a PEM text, each once. What is broken is passed over.
  void Add(absl::string_view pem);

  // Thread-safe. Has the store have those of this subject.
  void Read(X509_STORE* store, const X509_NAME* subject);

 private:
  // By the hash of their subjects, in which case and spaces do not count (X509_NAME_hash_ex): DER,
  // and, after an OpenSSL TRUSTED CERTIFICATE, for what it is trusted.
  Guarded<std::multimap<unsigned long, std::string>> by_subject_;
};

}  // namespace okms

#endif  // OKMS_NET_UNREAD_CERTIFICATES_H_
