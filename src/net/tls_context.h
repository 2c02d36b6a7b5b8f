// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The client side of mutual TLS: our certificate, and whom we trust.

#ifndef OKMS_NET_TLS_CONTEXT_H_
#define OKMS_NET_TLS_CONTEXT_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "net/openssl_ptr.h"
#include "net/pem_file.h"
#include "net/unread_certificates.h"
#include "net/validity.h"

namespace okms {

struct TlsFiles {
  NamedFile client_cert;  // PEM: the certificate, then any intermediate certificates
  NamedFile client_key;   // PEM, not encrypted
  NamedFile ca;           // PEM; an empty path means the system's roots
  bool only_ca = true;    // where `ca` is given, the system's roots are not trusted

  // Of those that are given.
  std::vector<std::string> Paths() const;
  bool TrustSystemRoots() const { return ca.path.empty() || !only_ca; }
};

// Immutable once made, and thread-safe. TLS 1.2 and 1.3; the KMS's certificate is always verified.
// Held as std::shared_ptr<const TlsContext>: all ways to the KMS use the same one; nothing in it
// changes, so sharing needs no lock, and any of them may be the last to go, also after a new one
// has taken its place.
class TlsContext {
 public:
  struct Reading;

  // Reads the files, each whatever is wrong with the others; the system's roots, too, if they are
  // to be trusted and not given: within the sandbox they must be. Does not use the network.
  static Reading Read(const TlsFiles& files,
                      std::shared_ptr<const UnreadCertificates> system_roots = nullptr);

  // The same, or the first mistake.
  static absl::StatusOr<std::unique_ptr<TlsContext>> Create(
      const TlsFiles& files, std::shared_ptr<const UnreadCertificates> system_roots = nullptr);

  SSL_CTX* get() const { return context_.get(); }

  // Makes `other`, a client's context, the same as this one, for `host` only: for a library that
  // makes its own contexts. The two share the certificates; those that the library puts into
  // `other` itself do not count. Errors: kInternal.
  absl::Status CopyTo(SSL_CTX* other, const std::string& host) const;

  // Of our certificate and of `--ca`. What has expired is no error: see Validity.
  const Validity& validity() const { return validity_; }

  // The same for two that were made of the same certificates, and so of the same key.
  const std::string& identity() const { return identity_; }

  // Our certificate as PEM.
  std::string CertificateText() const;

  // For people: whose certificate, until when, and whom it trusts.
  std::string Summary() const;

  // What is not an error but should be mended, one line each.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  TlsContext(SslCtxPtr context, Validity validity, std::string identity,
             std::vector<std::string> warnings)
      : context_(std::move(context)),
        validity_(std::move(validity)),
        identity_(std::move(identity)),
        warnings_(std::move(warnings)) {}

  SslCtxPtr context_;
  Validity validity_;
  std::string identity_;
  std::vector<std::string> warnings_;
};

// What came of it.
struct TlsContext::Reading {
  std::unique_ptr<TlsContext> context;  // none when there is a mistake
  // Without TLS at all, which is of no file; nothing else is looked at then.
  absl::Status setup;
  // Of each file by itself; then of the two of a pair, each of which could be read, put together.
  // kFailedPrecondition, one line that names the option, the file and the remedy.
  absl::Status client_cert;
  absl::Status client_key;
  absl::Status cert_misfit;
  absl::Status key_misfit;
  absl::Status ca;  // without a file: of the system's roots
  // Why the certificates of --client-cert do not lead from one to the next; empty: they do.
  std::string chain_trouble;
  Validity validity;  // of what could be read; the same as the context's
  std::vector<std::string> warnings;

  // Those of the above that there are, in their order: at most one of each file.
  std::vector<absl::Status> Mistakes() const;
};

// For the log: "TLSv1.3 with TLS_AES_256_GCM_SHA384", of a connection whose handshake is done.
std::string DescribeTls(const SSL* ssl);

}  // namespace okms

#endif  // OKMS_NET_TLS_CONTEXT_H_
