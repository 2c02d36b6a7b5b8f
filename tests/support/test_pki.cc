// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "support/test_pki.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"

namespace okms::test {
namespace {

absl::Status Failed(absl::string_view what) {
  return absl::InternalError(absl::StrCat("test certificate: ", what, ": ", OpenSslErrors()));
}

// The function behind OpenSSL's macros EVP_EC_gen and EVP_RSA_gen.
EvpPkeyPtr NewKey(bool rsa) {
  return EvpPkeyPtr(rsa ? EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048})
                        : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
}

bool AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  const bool added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

// An unsigned certificate: name, validity, key.
X509Ptr NewCertificate(const CertificateRequest& request, EVP_PKEY* key, const X509* issuer) {
  X509Ptr certificate(X509_new());
  uint32_t serial = 0;
  if (!certificate || RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1) {
    return nullptr;
  }
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const bool done =
      X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
      ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), uint64_t{serial} + 1) ==
          1 &&
      X509_gmtime_adj(X509_getm_notBefore(certificate.get()), request.valid_from) != nullptr &&
      X509_gmtime_adj(X509_getm_notAfter(certificate.get()), request.valid_until) != nullptr &&
      X509_set_pubkey(certificate.get(), key) == 1 &&
      X509_NAME_add_entry_by_NID(
          subject, NID_commonName, MBSTRING_UTF8,
          reinterpret_cast<const unsigned char*>(request.common_name.c_str()), -1, -1, 0) == 1 &&
      X509_set_issuer_name(certificate.get(),
                           issuer == nullptr ? subject : X509_get_subject_name(issuer)) == 1;
  return done ? std::move(certificate) : nullptr;
}

using File = std::unique_ptr<std::FILE, OpenSslDeleter<std::fclose>>;

File OpenForWriting(const std::string& path, mode_t mode) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  return File(fd < 0 ? nullptr : ::fdopen(fd, "w"));
}

bool WriteCertificate(const std::string& path, X509* certificate) {
  const File file = OpenForWriting(path, 0644);
  return file && PEM_write_X509(file.get(), certificate) == 1;
}

bool WriteKey(const std::string& path, EVP_PKEY* key) {
  const File file = OpenForWriting(path, 0600);
  return file && PEM_write_PrivateKey(file.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1;
}

}  // namespace

absl::StatusOr<TestPki> TestPki::Create(const std::string& directory,
                                        const std::string& common_name) {
  return Create(directory, common_name, nullptr);
}

absl::StatusOr<TestPki> TestPki::NewIntermediate(const std::string& directory,
                                                 const std::string& common_name) const {
  return Create(directory, common_name, this);
}

absl::StatusOr<TestPki> TestPki::Create(const std::string& directory,
                                        const std::string& common_name, const TestPki* issuer) {
  TestPki pki;
  pki.directory_ = directory;
  pki.ca_path_ = absl::StrCat(directory, "/ca.pem");
  pki.ca_key_ = NewKey(/*rsa=*/false);
  if (!pki.ca_key_) return Failed("CA key");
  pki.ca_ = NewCertificate({.common_name = common_name}, pki.ca_key_.get(),
                           issuer == nullptr ? nullptr : issuer->ca_.get());
  X509* ca = pki.ca_.get();
  if (!pki.ca_ || !AddExtension(ca, ca, NID_basic_constraints, "critical,CA:TRUE") ||
      !AddExtension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !AddExtension(ca, ca, NID_subject_key_identifier, "hash") ||
      X509_sign(ca, issuer == nullptr ? pki.ca_key_.get() : issuer->ca_key_.get(), EVP_sha256()) ==
          0) {
    return Failed("CA certificate");
  }
  if (!WriteCertificate(pki.ca_path_, ca)) return Failed(pki.ca_path_);
  return pki;
}

absl::StatusOr<KeyPairFiles> TestPki::Issue(const std::string& file_name,
                                            const CertificateRequest& request) {
  const EvpPkeyPtr key = NewKey(request.rsa);
  if (!key) return Failed("key");
  const X509Ptr certificate = NewCertificate(request, key.get(), ca_.get());
  if (!certificate ||
      !AddExtension(certificate.get(), ca_.get(), NID_ext_key_usage,
                    !request.usage.empty() ? request.usage
                    : request.for_server   ? "serverAuth"
                                           : "clientAuth") ||
      (!request.names.empty() && !AddExtension(certificate.get(), ca_.get(), NID_subject_alt_name,
                                               absl::StrJoin(request.names, ","))) ||
      X509_sign(certificate.get(), ca_key_.get(), EVP_sha256()) == 0) {
    return Failed(file_name);
  }
  KeyPairFiles files{absl::StrCat(directory_, "/", file_name, ".pem"),
                     absl::StrCat(directory_, "/", file_name, ".key")};
  if (!WriteCertificate(files.certificate, certificate.get())) return Failed(files.certificate);
  if (!WriteKey(files.key, key.get())) return Failed(files.key);
  return files;
}

}  // namespace okms::test
