// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/file_kind.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"

namespace okms {
namespace {

// Whether all of `content` is one structure of OpenSSL's type T.
template <typename T>
bool Is(absl::string_view content, T* (*parse)(T**, const unsigned char**, long),
        void (*free)(T*)) {
  const auto* data = reinterpret_cast<const unsigned char*>(content.data());
  T* const object = parse(nullptr, &data, static_cast<long>(content.size()));
  free(object);
  ERR_clear_error();
  return object != nullptr;
}

// What binary files are; how to make PEM of them.
std::string OfDer(absl::string_view content, const std::string& path) {
  const auto convert = [&](absl::string_view what, absl::string_view command) {
    return absl::StrCat("is ", what, ", not PEM; make PEM of it: openssl ", command, " -in ", path,
                        " -out NEW.pem");
  };
  if (Is(content, d2i_X509, X509_free)) {
    return convert("a certificate in DER", "x509 -inform DER");
  }
  if (Is(content, d2i_PKCS12, PKCS12_free)) {
    return convert("PKCS#12 (.p12, .pfx)", "pkcs12 -nodes");
  }
  if (Is(content, d2i_X509_REQ, X509_REQ_free)) {
    return "is a certificate request (CSR); give the certificate that was issued for it, as PEM";
  }
  if (Is(content, d2i_PKCS7, PKCS7_free)) {
    return convert("PKCS#7 (.p7b) in DER", "pkcs7 -inform DER -print_certs");
  }
  if (Is(content, d2i_AutoPrivateKey, EVP_PKEY_free)) {
    return convert("a private key in DER", "pkey -inform DER");
  }
  return "";
}

std::string OfPem(absl::string_view content, const std::string& path, PemKind wanted) {
  const auto has = [&](absl::string_view label) {
    return absl::StrContains(content, absl::StrCat("-----BEGIN ", label, "-----"));
  };
  // A file that has what is wanted is broken in another way.
  const bool key = absl::StrContains(content, "PRIVATE KEY-----");
  const bool certificate =
      has("CERTIFICATE") || has("TRUSTED CERTIFICATE") || has("X509 CERTIFICATE");
  if (has("OPENSSH PRIVATE KEY") && wanted == PemKind::kPrivateKey) {
    return "is a key in OpenSSH's format; give the key that was issued with the certificate";
  }
  if (wanted == PemKind::kPrivateKey ? key : certificate) return "";
  if (certificate) {
    return "holds a certificate, no private key; are --client-cert and --client-key swapped?";
  }
  if (has("CERTIFICATE REQUEST") || has("NEW CERTIFICATE REQUEST")) {
    return wanted == PemKind::kPrivateKey
               ? "is a certificate request (CSR); give the private key that it was made with"
               : "is a certificate request (CSR); give the certificate that was issued for it";
  }
  if (key) {
    return wanted == PemKind::kCa
               ? "holds a private key, no certificate; give the CA that signed the KMS's "
                 "certificate"
               : "holds a private key, no certificate; are --client-cert and --client-key swapped?";
  }
  if (has("PUBLIC KEY")) {
    return wanted == PemKind::kPrivateKey ? "holds the public key only; give the private key"
                                          : "holds a public key; give the certificate";
  }
  if (has("PKCS7")) {
    return absl::StrCat(
        "is PKCS#7 (.p7b); take the certificates out: openssl pkcs7 -print_certs -in ", path,
        " -out NEW.pem");
  }
  return "";
}

// As an editor of Windows saves it: two bytes a character.
bool IsUtf16(absl::string_view content) {
  return absl::StartsWith(content, "\xFF\xFE") || absl::StartsWith(content, "\xFE\xFF") ||
         absl::StartsWith(content, absl::string_view("-\0-\0", 4)) ||
         absl::StartsWith(content, absl::string_view("\0-\0-", 4));
}

}  // namespace

std::string WrongKind(absl::string_view content, const std::string& path, PemKind wanted) {
  if (content.empty()) return "is empty; give the PEM file";
  if (IsUtf16(content)) return "is UTF-16 text; save it as ASCII or UTF-8";
  constexpr char kSequence = 0x30;  // how all DER of these kinds begins
  if (content.front() == kSequence) return OfDer(content, OneLine(path));
  return OfPem(content, OneLine(path), wanted);
}

}  // namespace okms
