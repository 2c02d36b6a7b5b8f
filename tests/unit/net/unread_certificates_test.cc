// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/unread_certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "net/pem_certificates.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"

namespace okms {
namespace {

using StorePtr = std::unique_ptr<X509_STORE, OpenSslDeleter<X509_STORE_free>>;
using StoreCtxPtr = std::unique_ptr<X509_STORE_CTX, OpenSslDeleter<X509_STORE_CTX_free>>;
using NamePtr = std::unique_ptr<X509_NAME, OpenSslDeleter<X509_NAME_free>>;

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

X509Ptr CertificateOf(const std::string& path) {
  return std::move(ReadCertificates(Contents(path))->front());
}

NamePtr NewName(const char* common_name) {
  NamePtr name(X509_NAME_new());
  EXPECT_EQ(
      X509_NAME_add_entry_by_txt(name.get(), "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name), -1, -1, 0),
      1);
  return name;
}

// With what it is trusted for, if that is said.
std::string PemOf(const X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  EXPECT_EQ(PEM_write_bio_X509_AUX(bio.get(), certificate), 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

class UnreadCertificatesTest : public testing::Test {
 protected:
  UnreadCertificatesTest() { UnreadCertificates::Give(store_.get(), unread_); }

  test::TestPki NewCa(const std::string& name) {
    return *test::TestPki::Create(directories_.emplace_back().path(), name);
  }
  bool Trusts(X509* certificate) const {
    const StoreCtxPtr verification(X509_STORE_CTX_new());
    EXPECT_EQ(X509_STORE_CTX_init(verification.get(), store_.get(), certificate, nullptr), 1);
    return X509_verify_cert(verification.get()) == 1;
  }
  bool Trusts(test::TestPki& issuer) const {
    const auto files = issuer.Issue("kms", {.common_name = "kms", .for_server = true});
    return Trusts(CertificateOf(files->certificate).get());
  }
  int Parsed() const { return sk_X509_OBJECT_num(X509_STORE_get0_objects(store_.get())); }
  std::size_t Unread() const { return UnreadCertificates::CountOf(store_.get()); }

  std::list<test::TempDir> directories_;
  const StorePtr store_{X509_STORE_new()};
  const std::shared_ptr<UnreadCertificates> unread_ = std::make_shared<UnreadCertificates>();
  test::TestPki first_ = NewCa("first");
  test::TestPki second_ = NewCa("second");
};

TEST_F(UnreadCertificatesTest, OnlyWhatIsNeededIsParsed) {
  test::TestPki stranger = NewCa("stranger");
  EXPECT_EQ(Unread(), 0);
  unread_->Add(Contents(first_.ca()) + Contents(second_.ca()));
  EXPECT_EQ(Parsed(), 0);
  EXPECT_EQ(Unread(), 2);
  EXPECT_TRUE(Trusts(second_));
  EXPECT_TRUE(Trusts(second_));
  EXPECT_EQ(Parsed(), 1);
  EXPECT_EQ(Unread(), 1);
  EXPECT_FALSE(Trusts(stranger));
  EXPECT_EQ(Parsed(), 1);
  EXPECT_TRUE(Trusts(first_));
  EXPECT_EQ(Parsed(), 2);
  EXPECT_EQ(Unread(), 0);
}

// What is trusted may be the certificate itself, by whomever it was issued.
TEST_F(UnreadCertificatesTest, TrustedOnesAreFoundByThemselves) {
  ASSERT_EQ(X509_STORE_set_flags(store_.get(), X509_V_FLAG_PARTIAL_CHAIN), 1);
  const auto trusted = first_.Issue("trusted", {.common_name = "kms", .for_server = true});
  unread_->Add(Contents(trusted->certificate));
  EXPECT_TRUE(Trusts(CertificateOf(trusted->certificate).get()));
  EXPECT_FALSE(Trusts(first_));  // another one, of the same name
}

// Also where there is no version, as in certificates of the last century.
TEST_F(UnreadCertificatesTest, SubjectsAreFoundNotIssuers) {
  const EvpPkeyPtr key(EVP_EC_gen("P-256"));
  int parsed = 0;
  for (const long version : {X509_VERSION_1, X509_VERSION_3}) {
    const X509Ptr made(X509_new());
    ASSERT_EQ(X509_set_version(made.get(), version), 1);
    ASSERT_EQ(ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1 + version), 1);
    ASSERT_EQ(X509_set_issuer_name(made.get(), NewName("issuer").get()), 1);
    const NamePtr subject = NewName(absl::StrCat("subject ", version).c_str());
    ASSERT_EQ(X509_set_subject_name(made.get(), subject.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
    ASSERT_EQ(X509_set_pubkey(made.get(), key.get()), 1);
    ASSERT_GT(X509_sign(made.get(), key.get(), EVP_sha256()), 0);
    unread_->Add(PemOf(made.get()));
    UnreadCertificates::Read(store_.get(), NewName("issuer").get());
    EXPECT_EQ(Parsed(), parsed);
    UnreadCertificates::Read(store_.get(), subject.get());
    EXPECT_EQ(Parsed(), ++parsed);
  }
}

// As when a CA has a new key: OpenSSL chooses among all of them.
TEST_F(UnreadCertificatesTest, OneNameMayHaveSeveral) {
  test::TestPki renewed = NewCa("first");
  test::TestPki given = NewCa("first");
  unread_->Add(Contents(first_.ca()) + Contents(renewed.ca()));
  ASSERT_EQ(X509_STORE_add_cert(store_.get(), CertificateOf(given.ca()).get()), 1);
  EXPECT_EQ(Unread(), 2);
  Trusts(given);
  EXPECT_EQ(Parsed(), 3);
  EXPECT_EQ(Unread(), 0);
}

// RFC 5280 section 7.1.
TEST_F(UnreadCertificatesTest, CaseAndSpacesOfANameDoNotCount) {
  unread_->Add(Contents(NewCa("CA of  the Test").ca()));
  UnreadCertificates::Read(store_.get(), NewName("CA of the Best").get());
  EXPECT_EQ(Parsed(), 0);
  UnreadCertificates::Read(store_.get(), NewName(" ca OF the  test").get());
  EXPECT_EQ(Parsed(), 1);
}

TEST_F(UnreadCertificatesTest, BrokenOnesAndRepetitionsArePassedOver) {
  const std::string good = Contents(first_.ca());
  std::string broken = Contents(second_.ca());
  broken.replace(broken.find('\n') + 1, 4, "????");
  unread_->Add(absl::StrCat("text\n", broken, good.substr(0, good.size() / 2), "\n", good, good,
                            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
                            "-----BEGIN CERTIFICATE-----"));
  unread_->Add(absl::StrReplaceAll(good, {{"\n", "\r\n"}}));
  EXPECT_EQ(ERR_peek_error(), 0);
  EXPECT_EQ(Unread(), 1);
  EXPECT_TRUE(Trusts(first_));
  EXPECT_FALSE(Trusts(second_));
}

// OpenSSL's own form says what a certificate is trusted for.
TEST_F(UnreadCertificatesTest, WhatItIsNotTrustedForCounts) {
  const X509Ptr ca = CertificateOf(first_.ca());
  ASSERT_EQ(X509_add1_reject_object(ca.get(), OBJ_nid2obj(NID_anyExtendedKeyUsage)), 1);
  unread_->Add(PemOf(ca.get()));
  EXPECT_EQ(Unread(), 1);
  EXPECT_FALSE(Trusts(first_));
  EXPECT_EQ(Parsed(), 1);
}

// As when certificates are read again, and the roots are not.
TEST_F(UnreadCertificatesTest, SeveralStoresMayHaveThem) {
  unread_->Add(Contents(first_.ca()) + Contents(second_.ca()));
  EXPECT_TRUE(Trusts(first_));
  const StorePtr other(X509_STORE_new());
  UnreadCertificates::Give(other.get(), unread_);
  EXPECT_EQ(UnreadCertificates::CountOf(other.get()), 2);
  UnreadCertificates::Read(other.get(), X509_get_subject_name(CertificateOf(first_.ca()).get()));
  EXPECT_EQ(UnreadCertificates::CountOf(other.get()), 1);
  EXPECT_EQ(sk_X509_OBJECT_num(X509_STORE_get0_objects(other.get())), 1);
  EXPECT_EQ(Unread(), 1);
}

TEST_F(UnreadCertificatesTest, ManyMayVerifyAtOnce) {
  unread_->Add(Contents(first_.ca()) + Contents(second_.ca()));
  const X509Ptr certificate =
      CertificateOf(second_.Issue("kms", {.common_name = "kms", .for_server = true})->certificate);
  std::atomic<int> trusted = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] { trusted += Trusts(certificate.get()) ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(trusted, 16);
}

// Roots of all kinds: old ones without a version, names in many alphabets.
TEST_F(UnreadCertificatesTest, EachOfTheSystemsIsFound) {
  const auto all = ReadCertificates(Contents(X509_get_default_cert_file()));
  if (absl::IsNotFound(all.status())) GTEST_SKIP() << "this machine has none";
  ASSERT_THAT(all, test::IsOk());
  unread_->Add(Contents(X509_get_default_cert_file()));
  EXPECT_EQ(Unread(), all->size());
  for (const X509Ptr& each : *all) {
    UnreadCertificates::Read(store_.get(), X509_get_subject_name(each.get()));
    EXPECT_NE(X509_OBJECT_retrieve_by_subject(X509_STORE_get0_objects(store_.get()), X509_LU_X509,
                                              X509_get_subject_name(each.get())),
              nullptr);
  }
  EXPECT_EQ(Parsed(), all->size());
}

}  // namespace
}  // namespace okms
