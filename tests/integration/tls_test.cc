// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Mutual TLS to the KMS: who is refused on either side, and what is spoken.

#include <openssl/ssl.h>

#include <filesystem>
#include <string>
#include <utility>

#include "integration/plugin_test.h"

namespace okms::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class TlsTest : public PluginTest {
 protected:
  // With another server certificate than its own.
  void StartKmsWith(const KeyPairFiles& pair) {
    MockKmsOptions options;
    options.certificate = pair.certificate;
    options.key = pair.key;
    StartKms(std::move(options));
  }

  void ExpectOurCertificateRefused() {
    StartPlugin();
    // Now and then the reset that follows the alert is faster: then the next check tells.
    EXPECT_THAT(AwaitStatus(Code::kUnauthenticated),
                StatusIs(Code::kUnauthenticated,
                         AllOf(HasSubstr("the KMS refuses our certificate ("),
                               HasSubstr("unknown ca"), HasSubstr("; check --client-cert"))));
  }
  TestPki OtherPki() {
    std::filesystem::create_directory(dir_ / "other");
    return Must(TestPki::Create(dir_ / "other", "Another CA"));
  }
  void ExpectCertificateRefused(const std::string& reason) {
    StartPlugin();
    EXPECT_THAT(client().Status(), StatusIs(Code::kUnauthenticated,
                                            AllOf(HasSubstr("the KMS's certificate is refused: "),
                                                  HasSubstr(reason), HasSubstr("; "))));
    EXPECT_THAT(client().Encrypt(NewPlaintext()),
                StatusIs(Code::kUnauthenticated, HasSubstr(reason)));
    EXPECT_EQ(kms().handler().Counts().size(), 0U) << "something was asked of the wrong KMS";
  }
};

TEST_F(TlsTest, AClientCertificateOfAnotherCaIsRefusedWithTheReason) {
  TestPki other = OtherPki();
  const KeyPairFiles pair = Must(other.Issue("client", {.common_name = "plugin"}));
  flags_["--client-cert"] = pair.certificate;
  flags_["--client-key"] = pair.key;
  StartKms();
  ExpectOurCertificateRefused();
}

TEST_F(TlsTest, AClientCertificateOfAnotherCaIsRefusedWithTheReasonByTls12) {
  TestPki other = OtherPki();
  const KeyPairFiles pair = Must(other.Issue("client", {.common_name = "plugin"}));
  flags_["--client-cert"] = pair.certificate;
  flags_["--client-key"] = pair.key;
  MockKmsOptions options;
  options.max_tls_version = TLS1_2_VERSION;
  StartKms(std::move(options));
  ExpectOurCertificateRefused();
}

TEST_F(TlsTest, AServerCertificateOfAnotherCaIsRefused) {
  TestPki other = OtherPki();
  const KeyPairFiles pair = Must(
      other.Issue("server", {.common_name = "kms", .names = {"IP:127.0.0.1"}, .for_server = true}));
  StartKmsWith(pair);
  ExpectCertificateRefused("unable to get local issuer certificate");
}

TEST_F(TlsTest, AServerCertificateForAnotherAddressIsRefused) {
  const KeyPairFiles pair = Must(pki_.Issue(
      "wrong", {.common_name = "127.0.0.1", .names = {"IP:127.0.0.2"}, .for_server = true}));
  StartKmsWith(pair);
  ExpectCertificateRefused("IP address mismatch");
}

TEST_F(TlsTest, AServerCertificateForAnotherNameIsRefused) {
  // Neither its common name nor its address counts when a name was asked for.
  const KeyPairFiles pair = Must(pki_.Issue("wrong", {.common_name = "localhost",
                                                      .names = {"DNS:kms.example", "IP:127.0.0.1"},
                                                      .for_server = true}));
  StartKmsWith(pair);
  flags_["--serv-addr"] = absl::StrCat("localhost:", port());
  ExpectCertificateRefused("hostname mismatch");
}

TEST_F(TlsTest, AnExpiredServerCertificateIsRefused) {
  const KeyPairFiles pair = Must(pki_.Issue("old", {.common_name = "kms",
                                                    .names = {"IP:127.0.0.1"},
                                                    .for_server = true,
                                                    .valid_from = -7200,
                                                    .valid_until = -3600}));
  StartKmsWith(pair);
  ExpectCertificateRefused("certificate has expired");
}

TEST_F(TlsTest, AClientCertificateIsNoServerCertificate) {
  const KeyPairFiles pair = Must(
      pki_.Issue("wrong", {.common_name = "kms", .names = {"IP:127.0.0.1"}, .for_server = false}));
  StartKmsWith(pair);
  ExpectCertificateRefused("unsuitable certificate purpose");
}

TEST_F(TlsTest, WithoutCaTheRootsOfTheSystemCount) {
  flags_.erase("--ca");
  StartKms();
  ExpectCertificateRefused("certificate");
}

TEST_F(TlsTest, ByName) {
  flags_["--serv-addr"] = absl::StrCat("localhost:", port());
  StartKms();
  StartReady();
  ExpectRoundTrip();
}

TEST_F(TlsTest, Tls12Only) {
  MockKmsOptions options;
  options.max_tls_version = TLS1_2_VERSION;
  StartKms(std::move(options));
  StartReady();
  ExpectRoundTrip();
  kms().DropConnections();
  ExpectRoundTrip();
}

TEST_F(TlsTest, OnlyTheSuiteThatKmipMakesMandatory) {
  for (const char* const suite : {"AES256-SHA256", "AES128-SHA256"}) {
    SCOPED_TRACE(suite);
    const KeyPairFiles pair = Must(pki_.Issue(
        "rsa", {.common_name = "kms", .names = {"IP:127.0.0.1"}, .for_server = true, .rsa = true}));
    MockKmsOptions options;
    options.certificate = pair.certificate;
    options.key = pair.key;
    options.max_tls_version = TLS1_2_VERSION;
    options.cipher_list = suite;
    StartKms(std::move(options));
    StartReady();
    ExpectRoundTrip();
    ASSERT_EQ(StopPlugin(), 0);
    StopKms();
  }
}

TEST_F(TlsTest, AnRsaClientCertificate) {
  const KeyPairFiles pair = Must(pki_.Issue("rsa", {.common_name = "plugin", .rsa = true}));
  flags_["--client-cert"] = pair.certificate;
  flags_["--client-key"] = pair.key;
  StartKms();
  StartReady();
  ExpectRoundTrip();
}

}  // namespace
}  // namespace okms::test
