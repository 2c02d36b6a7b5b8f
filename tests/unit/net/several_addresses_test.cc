// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// TlsDialer with a name that has several addresses, of which some are dead in one way or another.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "net/tls_dialer.h"
#include "support/dns_server.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "unit/net/tls_server.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::Echo;
using test::IsOk;
using test::LoopbackSocket;
using test::StatusIs;
using test::TlsServer;

constexpr char kName[] = "kms.example";
constexpr char kFirst[] = "127.0.0.1";
constexpr char kSecond[] = "127.0.0.2";

Deadline Later() { return Clock::now() + 1h; }

// Reads and says nothing.
void Swallow(SSL* ssl) {
  char byte = 0;
  std::size_t size = 0;
  while (SSL_read_ex(ssl, &byte, 1, &size) == 1) {
  }
}

class SeveralAddressesTest : public ::testing::Test {
 protected:
  SeveralAddressesTest()
      : pki_(*test::TestPki::Create(directory_.path())),
        client_(*pki_.Issue("client", {.common_name = "client one"})),
        server_(*pki_.Issue("server", {.common_name = "server",
                                       .names = {std::string("DNS:") + kName},
                                       .for_server = true})) {
    ::signal(SIGPIPE, SIG_IGN);  // as the program does
    dns_.Set(kName, {kFirst, kSecond});
  }

  void NewDialer(uint16_t port) {
    auto context = TlsContext::Create({{"--client-cert", client_.certificate},
                                       {"--client-key", client_.key},
                                       {"--ca", pki_.ca()}});
    ASSERT_THAT(context, IsOk());
    dialer_ =
        std::make_unique<TlsDialer>(HostPort{kName, port}, *std::move(context), dns_.HostPort());
  }
  std::unique_ptr<TlsServer> NewServer(const std::string& address, uint16_t port,
                                       TlsServer::Session session, int connections = 2) {
    return std::make_unique<TlsServer>(test::TlsServerOptions{.identity = server_,
                                                              .client_ca = pki_.ca(),
                                                              .address = address,
                                                              .port = port,
                                                              .connections = connections},
                                       std::move(session));
  }
  // Dials, and asks something.
  absl::Status Ask(Deadline until = Later()) {
    OKMS_ASSIGN_OR_RETURN(const auto stream, dialer_->Dial(Later()));
    const uint8_t question = '?';
    OKMS_RETURN_IF_ERROR(stream->Write(ByteView(&question, 1), until));
    uint8_t answer = 0;
    return stream->Read(std::span(&answer, 1), until).status();
  }

  test::TempDir directory_;
  test::TestPki pki_;
  test::KeyPairFiles client_;
  test::KeyPairFiles server_;
  test::DnsServer dns_;
  std::unique_ptr<TlsDialer> dialer_;
};

TEST_F(SeveralAddressesTest, OneThatTakesNoConnectionIsPassedOver) {
  LoopbackSocket hole(kFirst);
  hole.Listen(0);
  const std::vector<UniqueFd> queue = hole.Fill();
  const auto server = NewServer(kSecond, hole.port(), Echo);
  NewDialer(hole.port());
  EXPECT_THAT(Ask(), IsOk()) << "with an hour to wait for the other one";
  EXPECT_THAT(Ask(), IsOk());
}

TEST_F(SeveralAddressesTest, OneThatShakesNoHandsIsPassedOverAndNotTriedAgain) {
  LoopbackSocket silent(kFirst);
  silent.Listen();
  const auto server = NewServer(kSecond, silent.port(), Echo);
  NewDialer(silent.port());
  EXPECT_THAT(Ask(), IsOk());
  EXPECT_THAT(Ask(), IsOk());
  EXPECT_EQ(silent.AcceptAll(), 1);
}

TEST_F(SeveralAddressesTest, OneThatRefusesCostsNothing) {
  LoopbackSocket refuses(kFirst);
  const auto server = NewServer(kSecond, refuses.port(), Echo);
  NewDialer(refuses.port());
  EXPECT_THAT(Ask(), IsOk());
}

TEST_F(SeveralAddressesTest, OneThatShakesHandsAndNeverAnswersCostsOneCall) {
  LoopbackSocket reserved(kSecond);  // a port for both
  const auto silent = NewServer(kFirst, reserved.port(), Swallow, 2);
  NewDialer(reserved.port());
  // Less time than anybody could be expected to need tells nothing.
  EXPECT_THAT(Ask(Clock::now() + 50ms), StatusIs(absl::StatusCode::kDeadlineExceeded,
                                                 ::testing::HasSubstr("(127.0.0.1): read")));
  EXPECT_THAT(Ask(Clock::now() + 1050ms), StatusIs(absl::StatusCode::kDeadlineExceeded,
                                                   ::testing::HasSubstr("(127.0.0.1): read")));
  reserved.Listen();
  const auto dialled = dialer_->Dial(Clock::now() + 50ms);
  EXPECT_THAT(dialled, StatusIs(absl::StatusCode::kDeadlineExceeded,
                                ::testing::HasSubstr("(127.0.0.2): TLS handshake")));
}

TEST_F(SeveralAddressesTest, WhenAllAreSilentTheLastThatWasTriedIsNamed) {
  LoopbackSocket first(kFirst);
  first.Listen();
  LoopbackSocket second(kSecond, first.port());
  second.Listen();
  NewDialer(first.port());
  EXPECT_THAT(dialer_->Dial(Clock::now() + 1500ms),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       ::testing::HasSubstr("(127.0.0.2): TLS handshake: no answer in time")));
}

// The reason that an address gave, rather than that another one gave none.
TEST_F(SeveralAddressesTest, ACertificateThatIsRefusedIsTheReasonBesideOneThatIsSilent) {
  LoopbackSocket silent(kFirst);
  silent.Listen();
  server_ = *pki_.Issue("other",
                        {.common_name = "other", .names = {"DNS:elsewhere"}, .for_server = true});
  const auto server = NewServer(kSecond, silent.port(), Echo, 1);
  NewDialer(silent.port());
  EXPECT_THAT(dialer_->Dial(Clock::now() + 1500ms),
              StatusIs(absl::StatusCode::kUnauthenticated,
                       ::testing::HasSubstr("(127.0.0.2): the KMS's certificate is refused")));
}

}  // namespace
}  // namespace okms
