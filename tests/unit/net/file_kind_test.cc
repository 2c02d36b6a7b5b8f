// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/file_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include <fstream>
#include <sstream>
#include <string>

#include "net/openssl_ptr.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"

namespace okms {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class FileKindTest : public ::testing::Test {
 protected:
  FileKindTest() {
    auto pki = test::TestPki::Create(directory_.path());
    const auto files = pki->Issue("client", {.common_name = "client"});
    pem_certificate_ = Read(files->certificate);
    pem_key_ = Read(files->key);
    const BioPtr bio(BIO_new_file(files->certificate.c_str(), "r"));
    certificate_.reset(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    const BioPtr key_bio(BIO_new_file(files->key.c_str(), "r"));
    key_.reset(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  }

  static std::string Read(const std::string& path) {
    std::stringstream content;
    content << std::ifstream(path).rdbuf();
    return content.str();
  }
  // What `write` writes.
  template <typename Write>
  static std::string Written(Write&& write) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    EXPECT_EQ(write(bio.get()), 1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return std::string(data, static_cast<std::size_t>(size));
  }
  std::string Request(bool pem) const {
    const std::unique_ptr<X509_REQ, OpenSslDeleter<X509_REQ_free>> request(X509_REQ_new());
    X509_REQ_set_pubkey(request.get(), key_.get());
    X509_REQ_sign(request.get(), key_.get(), EVP_sha256());
    return Written([&](BIO* bio) {
      return pem ? PEM_write_bio_X509_REQ(bio, request.get())
                 : i2d_X509_REQ_bio(bio, request.get());
    });
  }
  // Each character as two bytes.
  static std::string Utf16(const std::string& text, bool little, bool mark) {
    std::string out = !mark ? "" : little ? "\xFF\xFE" : "\xFE\xFF";
    for (const char c : text) {
      if (!little) out += '\0';
      out += c;
      if (little) out += '\0';
    }
    return out;
  }
  static std::string As(PemKind wanted, const std::string& content) {
    return WrongKind(content, "FILE", wanted);
  }

  test::TempDir directory_;
  std::string pem_certificate_;
  std::string pem_key_;
  X509Ptr certificate_;
  EvpPkeyPtr key_;
};

TEST_F(FileKindTest, NothingIsSaidOfTheRightKindNorOfWhatIsNoKind) {
  EXPECT_EQ(As(PemKind::kCertificate, pem_certificate_), "");
  EXPECT_EQ(As(PemKind::kCertificate, pem_key_ + pem_certificate_), "");
  EXPECT_EQ(As(PemKind::kPrivateKey, pem_key_), "");
  EXPECT_EQ(As(PemKind::kCa, pem_certificate_), "");
  for (const PemKind wanted : {PemKind::kCertificate, PemKind::kPrivateKey, PemKind::kCa}) {
    EXPECT_EQ(As(wanted, "some text\n"), "");
    EXPECT_EQ(As(wanted, "0 begins it, as DER does"), "");
    EXPECT_EQ(As(wanted, "0"), "");
  }
}

TEST_F(FileKindTest, Der) {
  const std::string certificate =
      Written([&](BIO* bio) { return i2d_X509_bio(bio, certificate_.get()); });
  EXPECT_EQ(As(PemKind::kCertificate, certificate),
            "is a certificate in DER, not PEM; make PEM of it: openssl x509 -inform DER -in FILE "
            "-out NEW.pem");
  EXPECT_EQ(As(PemKind::kCa, certificate), As(PemKind::kCertificate, certificate));
  EXPECT_THAT(As(PemKind::kPrivateKey,
                 Written([&](BIO* bio) { return i2d_PrivateKey_bio(bio, key_.get()); })),
              StartsWith("is a private key in DER, not PEM; make PEM of it: openssl pkey "));
  EXPECT_THAT(As(PemKind::kCertificate, Request(/*pem=*/false)),
              StartsWith("is a certificate request (CSR); "));
}

TEST_F(FileKindTest, Pkcs12) {
  const std::unique_ptr<PKCS12, OpenSslDeleter<PKCS12_free>> p12(
      PKCS12_create("secret", "name", key_.get(), certificate_.get(), nullptr, 0, 0, 0, 0, 0));
  const std::string content = Written([&](BIO* bio) { return i2d_PKCS12_bio(bio, p12.get()); });
  for (const PemKind wanted : {PemKind::kCertificate, PemKind::kPrivateKey}) {
    EXPECT_EQ(
        As(wanted, content),
        "is PKCS#12 (.p12, .pfx), not PEM; make PEM of it: openssl pkcs12 -nodes -in FILE -out "
        "NEW.pem");
  }
}

TEST_F(FileKindTest, ARequest) {
  EXPECT_EQ(As(PemKind::kCertificate, Request(/*pem=*/true)),
            "is a certificate request (CSR); give the certificate that was issued for it");
  EXPECT_EQ(As(PemKind::kPrivateKey, Request(/*pem=*/true)),
            "is a certificate request (CSR); give the private key that it was made with");
}

TEST_F(FileKindTest, Swapped) {
  EXPECT_EQ(As(PemKind::kCertificate, pem_key_),
            "holds a private key, no certificate; are --client-cert and --client-key swapped?");
  EXPECT_EQ(As(PemKind::kPrivateKey, pem_certificate_),
            "holds a certificate, no private key; are --client-cert and --client-key swapped?");
  EXPECT_EQ(As(PemKind::kCa, pem_key_),
            "holds a private key, no certificate; give the CA that signed the KMS's certificate");
}

TEST_F(FileKindTest, APublicKey) {
  const std::string content =
      Written([&](BIO* bio) { return PEM_write_bio_PUBKEY(bio, key_.get()); });
  EXPECT_EQ(As(PemKind::kPrivateKey, content), "holds the public key only; give the private key");
  EXPECT_EQ(As(PemKind::kCertificate, content), "holds a public key; give the certificate");
}

TEST_F(FileKindTest, OfOpenSsh) {
  EXPECT_THAT(As(PemKind::kPrivateKey, "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"),
              HasSubstr("OpenSSH"));
}

TEST_F(FileKindTest, Utf16OfAnyOrder) {
  for (const bool little : {false, true}) {
    for (const bool mark : {false, true}) {
      EXPECT_EQ(As(PemKind::kCertificate, Utf16(pem_certificate_, little, mark)),
                "is UTF-16 text; save it as ASCII or UTF-8");
    }
  }
}

TEST_F(FileKindTest, Empty) {
  EXPECT_EQ(As(PemKind::kCertificate, ""), "is empty; give the PEM file");
}

}  // namespace
}  // namespace okms
