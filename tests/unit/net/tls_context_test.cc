// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/tls_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"

namespace okms {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;

class TlsContextTest : public ::testing::Test {
 protected:
  TlsContextTest() : pki_(*test::TestPki::Create(directory_.path())) {
    client_ = Issue("client", {.common_name = "client"});
  }

  test::KeyPairFiles Issue(const std::string& name, const test::CertificateRequest& request) {
    auto files = pki_.Issue(name, request);
    EXPECT_THAT(files, IsOk());
    return *std::move(files);
  }
  TlsFiles Files() const {
    return {
        {"--client-cert", client_.certificate}, {"--client-key", client_.key}, {"--ca", pki_.ca()}};
  }
  std::string Write(const std::string& name, const std::string& content) const {
    const std::string path = directory_ / name;
    std::ofstream(path) << content;
    return path;
  }
  static std::string Read(const std::string& path) {
    std::stringstream content;
    content << std::ifstream(path).rdbuf();
    return content.str();
  }
  // The message of one file and option, and what `why` says of it.
  static auto Refused(const std::string& option, const std::string& path, const std::string& why) {
    return StatusIs(kFailedPrecondition, absl::StrCat(option, " ", path, ": ", why));
  }

  test::TempDir directory_;
  test::TestPki pki_;
  test::KeyPairFiles client_;
};

TEST_F(TlsContextTest, TakesAnEcPairWithoutWarnings) {
  const auto context = TlsContext::Create(Files());
  ASSERT_THAT(context, IsOk());
  EXPECT_THAT((*context)->warnings(), IsEmpty());
}

TEST_F(TlsContextTest, TakesAnRsaPair) {
  client_ = Issue("rsa", {.common_name = "client", .rsa = true});
  EXPECT_THAT(TlsContext::Create(Files()), IsOk());
}

TEST_F(TlsContextTest, TakesTheSystemsRootsWithoutACaFile) {
  TlsFiles files = Files();
  files.ca.path.clear();
  EXPECT_THAT(TlsContext::Create(files), IsOk());
}

TEST_F(TlsContextTest, TakesACertificateFollowedByItsChain) {
  TlsFiles files = Files();
  files.client_cert.path = Write("chain.pem", Read(client_.certificate) + Read(pki_.ca()));
  EXPECT_THAT(TlsContext::Create(files), IsOk());
}

TEST_F(TlsContextTest, LeavesNoErrorsInTheQueueOfOpenSsl) {
  ASSERT_THAT(TlsContext::Create(Files()), IsOk());
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST_F(TlsContextTest, VerifiesThePeerAndSpeaksNothingBelowTls12) {
  const auto context = TlsContext::Create(Files());
  ASSERT_THAT(context, IsOk());
  SSL_CTX* raw = (*context)->get();
  EXPECT_EQ(SSL_CTX_get_verify_mode(raw), SSL_VERIFY_PEER);
  EXPECT_EQ(SSL_CTX_ctrl(raw, SSL_CTRL_GET_MIN_PROTO_VERSION, 0, nullptr), TLS1_2_VERSION);
  EXPECT_EQ(SSL_CTX_get_security_level(raw), 2);
}

struct EachFile {
  const char* name;
  const char* option;
  NamedFile TlsFiles::*file;
  const char* holds_nothing;
};

class EachFileTest : public TlsContextTest, public ::testing::WithParamInterface<EachFile> {};

INSTANTIATE_TEST_SUITE_P(
    , EachFileTest,
    ::testing::Values(
        EachFile{
            "ClientCert", "--client-cert", &TlsFiles::client_cert,
            "holds no usable PEM certificate \\(.+\\); give the access certificate of the KMS"},
        EachFile{"ClientKey", "--client-key", &TlsFiles::client_key,
                 "holds no usable PEM private key \\(.+\\); give the key of --client-cert"},
        EachFile{
            "Ca", "--ca", &TlsFiles::ca,
            "holds no PEM certificate \\(.+\\); give the CA that signed the KMS's certificate"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(EachFileTest, Missing) {
  TlsFiles files = Files();
  const std::string path = directory_ / "missing.pem";
  (files.*GetParam().file).path = path;
  EXPECT_THAT(TlsContext::Create(files),
              Refused(GetParam().option, path,
                      "cannot be read: open: No such file or directory; correct the path"));
}

TEST_P(EachFileTest, Directory) {
  TlsFiles files = Files();
  (files.*GetParam().file).path = directory_.path();
  EXPECT_THAT(TlsContext::Create(files),
              Refused(GetParam().option, directory_.path(), "is a directory; name the PEM file"));
}

TEST_P(EachFileTest, Unreadable) {
  // Root reads everything: then another user tries, who may read this test's directory but that.
  const bool root = ::geteuid() == 0;
  TlsFiles files = Files();
  const std::string path = Write("secret.pem", "x");
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  (files.*GetParam().file).path = path;
  if (root) {
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
    ASSERT_EQ(::chmod(client_.key.c_str(), 0644), 0);
    ASSERT_EQ(::seteuid(65534), 0);
  }
  const auto context = TlsContext::Create(files);
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  EXPECT_THAT(context,
              Refused(GetParam().option, path,
                      "cannot be read: open: Permission denied; let this service's user read it"));
}

TEST_P(EachFileTest, EmptyOrGarbage) {
  for (const char* content :
       {"", "not PEM at all\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}) {
    TlsFiles files = Files();
    const std::string path = Write("garbage.pem", content);
    (files.*GetParam().file).path = path;
    EXPECT_THAT(TlsContext::Create(files),
                StatusIs(kFailedPrecondition,
                         MatchesRegex(absl::StrCat(GetParam().option,
                                                   " .*/garbage.pem: ", GetParam().holds_nothing))))
        << content;
  }
}

TEST_F(TlsContextTest, TextOfOpenSslForAFileWithoutPem) {
  TlsFiles files = Files();
  files.client_cert.path = Write("empty.pem", "");
  EXPECT_THAT(TlsContext::Create(files),
              Refused("--client-cert", files.client_cert.path,
                      "holds no usable PEM certificate (no start line; PEM lib); give the access "
                      "certificate of the KMS"));
}

TEST_F(TlsContextTest, CaFileWithOnlyAKey) {
  TlsFiles files = Files();
  files.ca.path = client_.key;
  EXPECT_THAT(TlsContext::Create(files),
              StatusIs(kFailedPrecondition,
                       MatchesRegex("--ca .*/client.key: holds no PEM certificate \\(.*\\); give "
                                    "the CA that signed the KMS's certificate")));
}

TEST_F(TlsContextTest, KeyOfAnotherCertificate) {
  TlsFiles files = Files();
  files.client_key.path = Issue("other", {.common_name = "other"}).key;
  EXPECT_THAT(TlsContext::Create(files),
              Refused("--client-key", files.client_key.path,
                      absl::StrCat("does not belong to the certificate of --client-cert ",
                                   client_.certificate, "; give the pair that was issued")));
}

TEST_F(TlsContextTest, KeyOfAnotherType) {
  TlsFiles files = Files();
  files.client_key.path = Issue("other", {.common_name = "other", .rsa = true}).key;
  EXPECT_THAT(TlsContext::Create(files),
              Refused("--client-key", files.client_key.path,
                      absl::StrCat("does not belong to the certificate of --client-cert ",
                                   client_.certificate, "; give the pair that was issued")));
}

class EncryptedKeyTest : public TlsContextTest {
 protected:
  // The client's key again, under a passphrase.
  std::string Encrypted(bool traditional) const {
    const BioPtr in(BIO_new_file(client_.key.c_str(), "r"));
    const EvpPkeyPtr key(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
    const std::string path = directory_ / "encrypted.key";
    const BioPtr out(BIO_new_file(path.c_str(), "w"));
    const auto* passphrase = reinterpret_cast<const unsigned char*>("secret");
    const int written =
        traditional ? PEM_write_bio_PrivateKey_traditional(out.get(), key.get(), EVP_aes_128_cbc(),
                                                           passphrase, 6, nullptr, nullptr)
                    : PEM_write_bio_PrivateKey(out.get(), key.get(), EVP_aes_128_cbc(), passphrase,
                                               6, nullptr, nullptr);
    EXPECT_EQ(written, 1);
    return path;
  }
};

TEST_F(EncryptedKeyTest, IsRefusedWithoutAskingForThePassphrase) {
  for (const bool traditional : {false, true}) {
    TlsFiles files = Files();
    files.client_key.path = Encrypted(traditional);
    EXPECT_THAT(TlsContext::Create(files),
                Refused("--client-key", files.client_key.path,
                        "is encrypted; give the key without a passphrase"));
  }
}

TEST_F(TlsContextTest, ExpiredCertificate) {
  client_ = Issue("expired", {.common_name = "client", .valid_from = -7200, .valid_until = -3600});
  EXPECT_THAT(TlsContext::Create(Files()),
              StatusIs(kFailedPrecondition,
                       MatchesRegex(absl::StrCat("--client-cert ", client_.certificate,
                                                 ": expired on [A-Z][a-z][a-z] .* 20.* GMT"
                                                 "; renew the certificate"))));
}

TEST_F(TlsContextTest, CertificateNotYetValidIsAWarning) {
  client_ = Issue("early", {.common_name = "client", .valid_from = 3600, .valid_until = 7200});
  const auto context = TlsContext::Create(Files());
  ASSERT_THAT(context, IsOk());
  EXPECT_THAT((*context)->warnings(),
              ElementsAre(MatchesRegex(absl::StrCat(
                  "--client-cert ", client_.certificate,
                  ": not valid before [A-Z][a-z][a-z] .* 20.* GMT; check this machine's clock"))));
}

TEST_F(TlsContextTest, WorldReadableKeyIsAWarning) {
  ASSERT_EQ(::chmod(client_.key.c_str(), 0644), 0);
  const auto context = TlsContext::Create(Files());
  ASSERT_THAT(context, IsOk());
  EXPECT_THAT((*context)->warnings(),
              ElementsAre(absl::StrCat("--client-key ", client_.key,
                                       ": every user of this machine can read it; chmod o-rwx")));
}

TEST_F(TlsContextTest, GroupReadableKeyIsNone) {
  ASSERT_EQ(::chmod(client_.key.c_str(), 0640), 0);
  const auto context = TlsContext::Create(Files());
  ASSERT_THAT(context, IsOk());
  EXPECT_THAT((*context)->warnings(), IsEmpty());
}

}  // namespace
}  // namespace okms
