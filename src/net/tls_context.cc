// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/tls_context.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "net/file_kind.h"
#include "net/peer_certificate.h"
#include "net/pem_certificates.h"
#include "net/system_roots.h"
#include "net/unread_certificates.h"
#include "net/x509_text.h"

namespace okms {
namespace {

absl::Status Bad(const NamedFile& file, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat(file.Name(), ": ", why));
}

// What our units have systemd put in place of a credential whose file is not there
// (SetCredential=): without it, systemd would not even start us to tell.
constexpr char kNoCredential[] = "missing";

absl::Status CheckReadable(const NamedFile& file) {
  UniqueFd fd(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    const int error = errno;
    return Bad(file, absl::StrCat("cannot be read: ",
                                  ErrnoStatus(absl::StatusCode::kUnknown, "open", error).message(),
                                  error == EACCES ? "; let this service's user read it"
                                                  : "; correct the path"));
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || S_ISDIR(info.st_mode)) {
    return Bad(file, "is a directory; name the PEM file");
  }
  std::array<char, sizeof kNoCredential> start{};
  const ssize_t size = ::read(fd.get(), start.data(), start.size());
  if (absl::string_view(start.data(), size < 0 ? 0 : static_cast<std::size_t>(size)) ==
      kNoCredential) {
    return absl::FailedPreconditionError(absl::StrCat(
        file.option, ": systemd found no file for this credential; put it where LoadCredential=",
        absl::StripPrefix(file.option, "--"), " of this unit says (systemctl cat)"));
  }
  return absl::OkStatus();
}

// What a file of certificates holds; `expected` says which should be in it.
absl::StatusOr<std::vector<X509Ptr>> LoadCertificates(const NamedFile& file, PemKind wanted,
                                                      absl::string_view expected) {
  OKMS_RETURN_IF_ERROR(CheckReadable(file));
  std::ifstream stream(file.path);
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  auto certificates = ReadCertificates(text);
  if (absl::IsNotFound(certificates.status())) {
    const std::string kind = WrongKindOf(file.path, wanted);
    return Bad(file,
               kind.empty() ? absl::StrCat("holds no PEM certificate; give ", expected) : kind);
  }
  if (!certificates.ok()) {
    return Bad(file, absl::StrCat(certificates.status().message(), "; copy it anew"));
  }
  return certificates;
}

// An encrypted key would make OpenSSL ask for its password on the terminal: refuse instead.
int NoPassword(char*, int, int, void*) { return -1; }

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
  // Idle sessions give their 34 kB of buffers back.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  return true;
}

absl::Status LoadIdentity(SSL_CTX* context, const TlsFiles& files,
                          std::vector<std::string>& warnings) {
  const NamedFile& cert_file = files.client_cert;
  const NamedFile& key_file = files.client_key;
  OKMS_ASSIGN_OR_RETURN(
      const std::vector<X509Ptr> chain,
      LoadCertificates(cert_file, PemKind::kCertificate, "the access certificate of the KMS"));
  OKMS_RETURN_IF_ERROR(CheckReadable(key_file));

  X509* const certificate = chain.front().get();
  bool used = SSL_CTX_use_certificate(context, certificate) == 1;
  for (std::size_t i = 1; i < chain.size(); ++i) {
    // What SSL_CTX_add1_chain_cert does; the macro has a C cast in it.
    used = used && SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 1, chain[i].get()) == 1;
  }
  if (!used) return Bad(cert_file, absl::StrCat("is not usable for TLS (", OpenSslErrors(), ")"));
  BioPtr bio(BIO_new_file(key_file.path.c_str(), "r"));
  EvpPkeyPtr key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr) : nullptr);
  if (!key) {
    const bool encrypted = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_BAD_PASSWORD_READ ||
                           ERR_GET_REASON(ERR_peek_error()) == PEM_R_BAD_PASSWORD_READ;
    if (encrypted) {
      ERR_clear_error();
      return Bad(key_file, "is encrypted; give the key without a passphrase");
    }
    const std::string errors = OpenSslErrors();
    const std::string kind = WrongKindOf(key_file.path, PemKind::kPrivateKey);
    return Bad(key_file, !kind.empty() ? kind
                                       : absl::StrCat("holds no usable PEM private key (", errors,
                                                      "); give the key of ", cert_file.option));
  }
  const auto fits = [&](const X509Ptr& each) {
    return X509_check_private_key(each.get(), key.get()) == 1;
  };
  const auto fitting = std::find_if(chain.begin(), chain.end(), fits);
  if (fitting != chain.begin()) {
    ERR_clear_error();
    if (fitting != chain.end()) {
      return Bad(cert_file,
                 absl::StrCat("the certificate of this key must come first, and is number ",
                              fitting - chain.begin() + 1, "; change their order"));
    }
    return Bad(key_file, absl::StrCat("does not belong to the certificate of ", cert_file.option,
                                      " ", cert_file.path, "; give the pair that was issued"));
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return Bad(key_file, absl::StrCat("is not usable for TLS (", OpenSslErrors(), ")"));
  }

  struct stat info {};
  if (::stat(key_file.path.c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0) {
    warnings.push_back(
        absl::StrCat(key_file.Name(), ": every user of this machine can read it; chmod o-rwx"));
  }
  return absl::OkStatus();
}

// How many CAs it trusts.
std::size_t TrustedBy(const SSL_CTX* context) {
  const X509_STORE* const store = SSL_CTX_get_cert_store(context);
  return static_cast<std::size_t>(sk_X509_OBJECT_num(X509_STORE_get0_objects(store))) +
         UnreadCertificates::CountOf(store);
}

// Returns the certificates of --ca; none without it.
absl::StatusOr<std::vector<X509Ptr>> LoadRoots(SSL_CTX* context, const TlsFiles& files) {
  const NamedFile& ca = files.ca;
  if (ca.path.empty() || !files.only_ca) {
    AddSystemRoots(SSL_CTX_get_cert_store(context));
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
      return Bad(ca, absl::StrCat("is not usable for TLS (", OpenSslErrors(), ")"));
    }
  }
  return anchors;
}

}  // namespace

std::string NamedFile::Name() const {
  return from_systemd
             ? absl::StrCat(option,
                            " (the file of LoadCredential=", absl::StripPrefix(option, "--"),
                            ": in the unit, passed as ", path, ")")
             : absl::StrCat(option, " ", path);
}

absl::StatusOr<std::unique_ptr<TlsContext>> TlsContext::Create(const TlsFiles& files) {
  ERR_clear_error();
  SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
  if (!context || !SetRules(context.get())) {
    return absl::InternalError(absl::StrCat("cannot set up TLS: ", OpenSslErrors()));
  }

  std::vector<std::string> warnings;
  OKMS_RETURN_IF_ERROR(LoadIdentity(context.get(), files, warnings));
  OKMS_ASSIGN_OR_RETURN(const std::vector<X509Ptr> anchors, LoadRoots(context.get(), files));
  Validity validity;
  validity.Add(files.client_cert.option, files.client_cert.path,
               {PeriodOf(SSL_CTX_get0_certificate(context.get()))});
  validity.Add(files.ca.option, files.ca.path, PeriodsOf(anchors));
  return std::unique_ptr<TlsContext>(
      new TlsContext(std::move(context), std::move(validity), std::move(warnings)));
}

absl::Status TlsContext::CheckRoots(const TlsFiles& files, const absl::Status& known) {
  ERR_clear_error();
  const SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
  if (!context) return absl::InternalError(absl::StrCat("cannot set up TLS: ", OpenSslErrors()));
  const absl::Status roots = LoadRoots(context.get(), files).status();
  return roots == known ? absl::OkStatus() : roots;
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
