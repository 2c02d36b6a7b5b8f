// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/secret.h"
#include "base/status.h"
#include "net/file_kind.h"
#include "net/peer_certificate.h"
#include "net/pem_certificates.h"
#include "net/system_roots.h"
#include "net/unread_certificates.h"
#include "net/x509_text.h"

namespace okms {
namespace {

// What a file of certificates holds; `expected` says which should be in it.
absl::StatusOr<std::vector<X509Ptr>> LoadCertificates(const NamedFile& file, PemKind wanted,
                                                      absl::string_view expected) {
  OKMS_ASSIGN_OR_RETURN(const PemFile pem, ReadPemFile(file));
  auto certificates = ReadCertificates(pem.text());
  if (absl::IsNotFound(certificates.status())) {
    const std::string kind = WrongKind(pem.text(), file.path, wanted);
    return file.Bad(kind.empty() ? absl::StrCat("holds no PEM certificate; give ", expected)
                                 : kind);
  }
  if (!certificates.ok()) {
    return file.Bad(absl::StrCat(certificates.status().message(), "; copy it anew"));
  }
  return certificates;
}

// An encrypted key would make OpenSSL ask for its password on the terminal: refuse instead.
int NoPassword(char*, int, int, void*) { return -1; }

absl::StatusOr<EvpPkeyPtr> LoadKey(const TlsFiles& files, std::vector<std::string>& warnings) {
  const NamedFile& file = files.client_key;
  OKMS_ASSIGN_OR_RETURN(const PemFile pem, ReadPemFile(file));
  if (pem.all_can_read) {
    warnings.push_back(
        absl::StrCat(file.Name(), ": every user of this machine can read it; chmod o-rwx"));
  }
  const BioPtr bio(BIO_new_mem_buf(pem.text().data(), static_cast<int>(pem.text().size())));
  EvpPkeyPtr key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr) : nullptr);
  if (key) return key;
  const bool encrypted = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_BAD_PASSWORD_READ ||
                         ERR_GET_REASON(ERR_peek_error()) == PEM_R_BAD_PASSWORD_READ;
  const std::string errors = OpenSslErrors();
  if (encrypted) return file.Bad("is encrypted; give the key without a passphrase");
  const std::string kind = WrongKind(pem.text(), file.path, PemKind::kPrivateKey);
  return file.Bad(!kind.empty() ? kind
                                : absl::StrCat("holds no usable PEM private key (", errors,
                                               "); give the key of ", files.client_cert.option));
}

// The common name of its subject, or all of the subject when there is none.
std::string NameOf(const X509* certificate) {
  const X509_NAME* const subject = X509_get_subject_name(certificate);
  std::array<char, 256> name{};
  if (X509_NAME_get_text_by_NID(subject, NID_commonName, name.data(), name.size()) > 0) {
    return absl::StrCat("\"", name.data(), "\"");
  }
  return X509_NAME_oneline(subject, name.data(), static_cast<int>(name.size()));
}

// The rules that do not depend on the configuration. Set here rather than left to openssl.cnf: the
// same on every machine.
bool SetRules(SSL_CTX* context) {
  // Not only AEAD suites: the KMIP profiles make TLS_RSA_WITH_AES_{128,256}_CBC_SHA256 mandatory,
  // and some servers have nothing else (KMIP Profiles 1.4 section 3.2). As in Go, no exchange of
  // keys over a finite field: there are servers that prefer it, with 1024 bits.
  if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context, "DEFAULT:!PSK:!SRP:!kDHE:@SECLEVEL=2") != 1) {
    return false;
  }
  // A server that does not know RFC 5746 is as good as another one to who never renegotiates.
  SSL_CTX_set_options(context, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_NO_RENEGOTIATION);
  VerifyPeer(context);
  // Idle sessions give their 34 kB of buffers back. What is not taken at once is written again from
  // another place: a buffer of ours, or of libcurl's.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return true;
}

bool IsPair(const X509Ptr& certificate, EVP_PKEY* key) {
  if (X509_check_private_key(certificate.get(), key) == 1) return true;
  ERR_clear_error();
  return false;
}

// `key` is to be that of the first one.
absl::Status UseChain(SSL_CTX* context, const NamedFile& file, const std::vector<X509Ptr>& chain,
                      EVP_PKEY* key) {
  bool used = SSL_CTX_use_certificate(context, chain.front().get()) == 1;
  for (std::size_t i = 1; i < chain.size(); ++i) {
    // What SSL_CTX_add1_chain_cert does; the macro has a C cast in it.
    used = used && SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 1, chain[i].get()) == 1;
  }
  if (!used) return file.Bad(absl::StrCat("is not usable for TLS (", OpenSslErrors(), ")"));
  const auto fitting = std::find_if(chain.begin(), chain.end(),
                                    [&](const X509Ptr& each) { return IsPair(each, key); });
  if (fitting == chain.begin() || fitting == chain.end()) return absl::OkStatus();
  return file.Bad(absl::StrCat("the certificate of this key must come first, and is number ",
                               fitting - chain.begin() + 1, "; change their order"));
}

absl::Status UseKey(SSL_CTX* context, const TlsFiles& files, const X509Ptr& certificate,
                    EVP_PKEY* key) {
  const NamedFile& cert_file = files.client_cert;
  const NamedFile& key_file = files.client_key;
  if (!IsPair(certificate, key)) {
    return key_file.Bad(absl::StrCat("does not belong to the certificate of ", cert_file.option,
                                     " ", cert_file.path, "; give the pair that was issued"));
  }
  if (SSL_CTX_use_PrivateKey(context, key) != 1) {
    return key_file.Bad(absl::StrCat("is not usable for TLS (", OpenSslErrors(), ")"));
  }
  return absl::OkStatus();
}

// Each one's issuer should come next: a server need look no further (RFC 5246 section 7.4.2). No
// mistake, since most servers do.
std::string ChainTrouble(const std::vector<X509Ptr>& chain) {
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (X509_check_issued(chain[i].get(), chain[i - 1].get()) != X509_V_OK) {
      ERR_clear_error();
      return absl::StrCat("certificate ", i + 1, " of the file, ", NameOf(chain[i].get()),
                          ", did not issue the one before it, ", NameOf(chain[i - 1].get()));
    }
  }
  return "";
}

// Of our certificate, those that go with it, and the CAs.
std::string IdentityOf(SSL_CTX* context, const std::vector<X509Ptr>& anchors) {
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context, &chain);
  std::vector<const X509*> all{SSL_CTX_get0_certificate(context)};
  for (int i = 0; i < sk_X509_num(chain); ++i) all.push_back(sk_X509_value(chain, i));
  all.push_back(nullptr);  // one that goes with ours is no CA
  for (const X509Ptr& anchor : anchors) all.push_back(anchor.get());
  std::string identity;
  for (const X509* each : all) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    if (each != nullptr) X509_digest(each, EVP_sha256(), digest.data(), &size);
    absl::StrAppend(&identity, AsText(ByteView(digest).first(size)), "\n");
  }
  return identity;
}

// How many CAs it trusts.
std::size_t TrustedBy(const SSL_CTX* context) {
  const X509_STORE* const store = SSL_CTX_get_cert_store(context);
  return static_cast<std::size_t>(sk_X509_OBJECT_num(X509_STORE_get0_objects(store))) +
         UnreadCertificates::CountOf(store);
}

// Returns the certificates of --ca; none without it.
absl::StatusOr<std::vector<X509Ptr>> LoadRoots(
    SSL_CTX* context, const TlsFiles& files,
    std::shared_ptr<const UnreadCertificates> system_roots) {
  const NamedFile& ca = files.ca;
  if (files.TrustSystemRoots()) {
    if (system_roots == nullptr) system_roots = ReadSystemRoots();
    UnreadCertificates::Give(SSL_CTX_get_cert_store(context), std::move(system_roots));
  }
  if (ca.path.empty()) {
    if (TrustedBy(context) > 0) return std::vector<X509Ptr>();
    return absl::FailedPreconditionError(
        absl::StrCat("no system CA certificates found in ", SystemRootPlaces(),
                     "; install them (Debian: ca-certificates), or give ", ca.option));
  }
  OKMS_ASSIGN_OR_RETURN(
      std::vector<X509Ptr> anchors,
      LoadCertificates(ca, PemKind::kCa, "the CA that signed the KMS's certificate"));
  for (const X509Ptr& anchor : anchors) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), anchor.get()) != 1) {
      return ca.Bad(absl::StrCat("is not usable for TLS (", OpenSslErrors(), ")"));
    }
  }
  return anchors;
}

}  // namespace

std::vector<std::string> TlsFiles::Paths() const {
  std::vector<std::string> paths{client_cert.path, client_key.path};
  if (!ca.path.empty()) paths.push_back(ca.path);
  return paths;
}

TlsContext::Reading TlsContext::Read(const TlsFiles& files,
                                     std::shared_ptr<const UnreadCertificates> system_roots) {
  Reading reading;
  ERR_clear_error();
  SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
  if (!context || !SetRules(context.get())) {
    reading.setup = absl::InternalError(absl::StrCat("cannot set up TLS: ", OpenSslErrors()));
    return reading;
  }

  const auto chain = LoadCertificates(files.client_cert, PemKind::kCertificate,
                                      "the access certificate of the KMS");
  const auto key = LoadKey(files, reading.warnings);
  reading.client_cert = chain.status();
  reading.client_key = key.status();
  if (chain.ok() && key.ok()) {
    reading.cert_misfit = UseChain(context.get(), files.client_cert, *chain, key->get());
    if (reading.cert_misfit.ok()) {
      reading.key_misfit = UseKey(context.get(), files, chain->front(), key->get());
    }
  }
  if (chain.ok()) reading.chain_trouble = ChainTrouble(*chain);
  const auto anchors = LoadRoots(context.get(), files, std::move(system_roots));
  reading.ca = anchors.status();
  if (chain.ok()) {
    reading.validity.Add(files.client_cert.option, files.client_cert.path,
                         {PeriodOf(chain->front().get())});
  }
  if (anchors.ok()) {
    reading.validity.Add(files.ca.option, files.ca.path, PeriodsOf(*anchors));
  }
  if (reading.Mistakes().empty()) {
    std::string identity = IdentityOf(context.get(), *anchors);
    reading.context.reset(new TlsContext(std::move(context), reading.validity, std::move(identity),
                                         reading.warnings));
  }
  return reading;
}

absl::StatusOr<std::unique_ptr<TlsContext>> TlsContext::Create(
    const TlsFiles& files, std::shared_ptr<const UnreadCertificates> system_roots) {
  Reading reading = Read(files, std::move(system_roots));
  if (reading.context == nullptr) return reading.Mistakes().front();
  return std::move(reading.context);
}

std::vector<absl::Status> TlsContext::Reading::Mistakes() const {
  std::vector<absl::Status> mistakes{setup, client_cert, client_key, cert_misfit, key_misfit, ca};
  std::erase_if(mistakes, [](const absl::Status& status) { return status.ok(); });
  return mistakes;
}

std::string TlsContext::Summary() const {
  const X509* const certificate = SSL_CTX_get0_certificate(context_.get());
  int days = 0;
  int seconds = 0;
  ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate));
  const std::size_t roots = TrustedBy(context_.get());
  return absl::StrCat(
      "certificate ", NameOf(certificate), " expires on ",
      TimeText(X509_get0_notAfter(certificate)), ", in ",
      days > 0 ? absl::StrCat(days, " days") : absl::StrCat(seconds / 3600, " hours"),
      "; its key fits; ", roots, roots == 1 ? " CA is" : " CAs are", " trusted");
}

absl::Status TlsContext::CopyTo(SSL_CTX* other, const std::string& host) const {
  ERR_clear_error();
  SSL_CTX* own = context_.get();
  STACK_OF(X509)* chain = nullptr;
  if (!SetRules(other) || !ExpectHost(SSL_CTX_get0_param(other), host) ||
      SSL_CTX_get0_chain_certs(own, &chain) != 1 ||
      SSL_CTX_use_cert_and_key(other, SSL_CTX_get0_certificate(own), SSL_CTX_get0_privatekey(own),
                               chain, /*override=*/1) != 1) {
    return absl::InternalError(absl::StrCat("cannot set up TLS: ", OpenSslErrors()));
  }
  // Not in place of the store that it has: libcurl fills that one with the system's roots, some
  // builds with those that OpenSSL looks for in folders while it runs.
  X509_STORE* store = SSL_CTX_get_cert_store(own);
  if (SSL_CTX_set1_verify_cert_store(other, store) != 1 ||
      SSL_CTX_set1_chain_cert_store(other, store) != 1) {
    return absl::InternalError(absl::StrCat("cannot set up TLS: ", OpenSslErrors()));
  }
  return absl::OkStatus();
}

std::string TlsContext::CertificateText() const {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), SSL_CTX_get0_certificate(context_.get())) != 1) {
    return "";
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string DescribeTls(const SSL* ssl) {
  return absl::StrCat(SSL_get_version(ssl), " with ",
                      SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)));
}

}  // namespace okms
