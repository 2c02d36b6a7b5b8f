// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which certificates of a KMS are taken, and what is said of the others. As the connection of
// KMIP sees them; REST uses the same contexts.

#include "net/peer_certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"
#include "unit/net/tls_client.h"
#include "unit/net/tls_server.h"

namespace okms {
namespace {

using test::CertificateRequest;
using test::IsOk;
using test::StatusIs;
using test::TestPki;
using test::TlsServer;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

constexpr char kDate[] = "[A-Z][a-z][a-z] .[0-9] ..:..:.. 20[0-9][0-9] GMT";

class PeerCertificateTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { ::signal(SIGPIPE, SIG_IGN); }  // as the program does

  PeerCertificateTest()
      : pki_(*TestPki::Create(directory_.path())),
        client_(*pki_.Issue("client", {.common_name = "client"})) {
    std::filesystem::create_directory(directory_ / "sub");
  }

  // What comes of a connection to a server with that certificate, which is expected to be of `host`
  // and trusted because of `ca`.
  absl::Status Dial(const test::KeyPairFiles& identity, const std::string& host,
                    const std::string& ca) {
    TlsServer server({.identity = identity, .client_ca = pki_.ca()}, [](SSL*) {});
    auto context = TlsContext::Create(
        {{"--client-cert", client_.certificate}, {"--client-key", client_.key}, {"--ca", ca}});
    EXPECT_THAT(context, IsOk());
    return test::TlsClient({host, server.port()}, *std::move(context)).Dial().status();
  }
  absl::Status Dial(const CertificateRequest& request, const std::string& host = "localhost") {
    return Dial(*pki_.Issue("server", request), host, pki_.ca());
  }
  // What follows "refused: " in the line.
  static auto Refused(const std::string& why) {
    return StatusIs(absl::StatusCode::kUnauthenticated,
                    ContainsRegex(absl::StrCat("certificate is refused: ", why, "$")));
  }

  test::TempDir directory_;
  TestPki pki_;
  test::KeyPairFiles client_;
};

CertificateRequest Named(std::vector<std::string> names) {
  return {.common_name = "localhost", .names = std::move(names), .for_server = true};
}

TEST_F(PeerCertificateTest, TooEarlyNamesTheDateAndTheClock) {
  CertificateRequest request = Named({"DNS:localhost"});
  request.valid_from = 3600;
  EXPECT_THAT(Dial(request), Refused(absl::StrCat("certificate is not yet valid: not before ",
                                                  kDate, "; check this machine's clock")));
}

TEST_F(PeerCertificateTest, TooLateNamesTheDateAndTheClock) {
  CertificateRequest request = Named({"DNS:localhost"});
  request.valid_from = -7200;
  request.valid_until = -3600;
  EXPECT_THAT(Dial(request),
              Refused(absl::StrCat("certificate has expired: on ", kDate,
                                   "; have it renewed, or check this machine's clock")));
}

TEST_F(PeerCertificateTest, CommonNameAloneIsNoName) {
  EXPECT_THAT(Dial(Named({})),
              Refused("hostname mismatch: it has no alternative name, and the common name does not "
                      "count; have one issued that names the host of --serv-addr"));
}

TEST_F(PeerCertificateTest, OtherNamesAreTold) {
  EXPECT_THAT(Dial(Named({"DNS:kms.example", "IP:192.0.2.1", "IP:2001:db8::1", "email:a@b"})),
              Refused("hostname mismatch: it is for kms.example, 192.0.2.1, 2001:db8::1; check "
                      "--serv-addr"));
}

TEST_F(PeerCertificateTest, UnknownIssuerIsNamed) {
  const test::TempDir elsewhere;
  TestPki other = *TestPki::Create(elsewhere.path(), "Other CA");
  EXPECT_THAT(Dial(*other.Issue("server", Named({"DNS:localhost"})), "localhost", pki_.ca()),
              Refused("unable to get local issuer certificate: the issuer is CN=Other CA; check "
                      "--ca"));
}

// The administrator named it: as for Go and for libcurl, no root need be known.
TEST_F(PeerCertificateTest, IntermediateCaIsAnAnchor) {
  TestPki intermediate = *pki_.NewIntermediate(directory_ / "sub", "Intermediate CA");
  EXPECT_THAT(
      Dial(*intermediate.Issue("server", Named({"DNS:localhost"})), "localhost", intermediate.ca()),
      IsOk());
}

TEST_F(PeerCertificateTest, PurposeMayBeAny) {
  CertificateRequest request = Named({"DNS:localhost"});
  request.usage = "anyExtendedKeyUsage";
  EXPECT_THAT(Dial(request), IsOk());
  request.usage = "clientAuth,anyExtendedKeyUsage";
  EXPECT_THAT(Dial(request), IsOk());
  // The rest is checked all the same.
  EXPECT_THAT(Dial(request, "127.0.0.1"), Refused("IP address mismatch: .*"));
  request.valid_until = -1;
  EXPECT_THAT(Dial(request), Refused("certificate has expired: .*"));
}

TEST_F(PeerCertificateTest, PurposeMustNotBeAnotherOne) {
  CertificateRequest request = Named({"DNS:localhost"});
  request.usage = "clientAuth";
  EXPECT_THAT(Dial(request), Refused("unsuitable certificate purpose: not for servers; check "
                                     "--serv-addr, or have one issued for servers"));
}

// No host has such a name, but a container may. By itself it is a name as any other; a wildcard
// does not stand for it.
TEST_F(PeerCertificateTest, Underscore) {
  const auto is_named = [&](const std::string& name, const std::string& host) {
    const BioPtr bio(BIO_new_file(pki_.Issue("server", Named({name}))->certificate.c_str(), "r"));
    const X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    std::unique_ptr<X509_VERIFY_PARAM, OpenSslDeleter<X509_VERIFY_PARAM_free>> param(
        X509_VERIFY_PARAM_new());
    EXPECT_TRUE(ExpectHost(param.get(), host));
    return X509_check_host(certificate.get(), X509_VERIFY_PARAM_get0_host(param.get(), 0), 0,
                           X509_VERIFY_PARAM_get_hostflags(param.get()), nullptr) == 1;
  };
  EXPECT_TRUE(is_named("DNS:my_kms.example", "my_kms.example"));
  EXPECT_TRUE(is_named("DNS:*.kms.example", "my-one.kms.example"));
  EXPECT_FALSE(is_named("DNS:*.kms.example", "my_one.kms.example"));
}

TEST_F(PeerCertificateTest, DotAtTheEndIsNotOfTheName) {
  TlsServer server(
      {.identity = *pki_.Issue("server", Named({"DNS:localhost"})), .client_ca = pki_.ca()},
      [](SSL*) {});
  auto context = TlsContext::Create(
      {{"--client-cert", client_.certificate}, {"--client-key", client_.key}, {"--ca", pki_.ca()}});
  ASSERT_THAT(context, IsOk());
  test::TlsClient client({"localhost.", server.port()}, *std::move(context));
  EXPECT_THAT(client.Dial().status(), IsOk());
  server.Join();
  EXPECT_EQ(server.server_name(), "localhost");
}

TEST_F(PeerCertificateTest, NameThatIsNoneIsNotTakenForAny) {
  const std::unique_ptr<X509_VERIFY_PARAM, OpenSslDeleter<X509_VERIFY_PARAM_free>> param(
      X509_VERIFY_PARAM_new());
  EXPECT_FALSE(ExpectHost(param.get(), ""));
  EXPECT_FALSE(ExpectHost(param.get(), "."));
}

TEST_F(PeerCertificateTest, RefusalIsTakenOnce) {
  EXPECT_EQ(TakeRefusal(), "");
  EXPECT_FALSE(Dial(Named({})).ok());
  EXPECT_EQ(TakeRefusal(), "");  // it is in the status
}

}  // namespace
}  // namespace okms
