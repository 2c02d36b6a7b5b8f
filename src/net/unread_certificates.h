// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// CA certificates that are parsed when the first one that they may have issued is verified.

#ifndef OKMS_NET_UNREAD_CERTIFICATES_H_
#define OKMS_NET_UNREAD_CERTIFICATES_H_

#include <openssl/x509_vfy.h>

#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace okms {

// OpenSSL takes a third of a millisecond to parse a certificate, most of it for its key, and a
// system has some 150, of which a KMS needs one. So only their subjects are read beforehand.
// Whoever verifies by a store that was given them finds all of them: what is asked for goes into it
// by then. No file is needed for that. Immutable once they are given; thread-safe then.
class UnreadCertificates {
 public:
  // Has `store` have them as long as it lives. Once, and before anything is verified by it: it
  // replaces how it looks for issuers. Shared, since stores of different times have the same ones,
  // and any of them may be the last to go.
  static void Give(X509_STORE* store, std::shared_ptr<const UnreadCertificates> certificates);

  // How many a store has that are not parsed yet, if it has any.
  static std::size_t CountOf(const X509_STORE* store);

  // Thread-safe. Has a store that was given some have those of this subject parsed.
  static void Read(X509_STORE* store, const X509_NAME* subject);

  // Those of a PEM text, each once. What is broken is passed over.
  void Add(absl::string_view pem);

 private:
  class OfStore;

  // By the hash of their subjects, in which case and spaces do not count (X509_NAME_hash_ex): DER,
  // and, after an OpenSSL TRUSTED CERTIFICATE, for what it is trusted.
  std::multimap<unsigned long, std::string> by_subject_;
};

}  // namespace okms

#endif  // OKMS_NET_UNREAD_CERTIFICATES_H_
