// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/tls_connector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "support/count.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "unit/net/tls_client.h"
#include "unit/net/tls_server.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::Echo;
using test::IsOk;
using test::IsOkAndHolds;
using test::Later;
using test::LoopbackSocket;
using test::Soon;
using test::StatusIs;
using test::TlsClient;
using test::TlsServer;
using test::TlsTest;
using test::TlsVersionTest;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class TlsConnectorTest : public TlsTest {};

using TlsConnectorVersionTest = TlsVersionTest;
INSTANTIATE_TEST_SUITE_P(, TlsConnectorVersionTest,
                         ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION), test::TlsVersionName);

uint64_t Times(const Traffic::Step& step) { return test::Count(step.took.Stats()); }

TEST_F(TlsConnectorTest, EachStepIsCounted) {
  LoopbackSocket nobody;
  TlsClient& refused = Client(nobody.port());
  EXPECT_FALSE(refused.Dial().ok());
  EXPECT_EQ(refused.traffic().dials.value(), 1);
  EXPECT_EQ(refused.traffic().connect.failed.value(), 1);
  EXPECT_EQ(Times(refused.traffic().connect), 0);

  TlsServer server(Options(), Echo);
  TlsClient& client = Client(server.port());
  {
    const auto connection = client.Dial();
    ASSERT_THAT(connection, IsOk());
    EXPECT_EQ(client.traffic().connections.value(), 1);
  }
  const Traffic& traffic = client.traffic();
  EXPECT_EQ(traffic.connections.value(), 0);
  EXPECT_EQ(traffic.dials.value(), 1);
  EXPECT_EQ(Times(traffic.connect), 1);
  EXPECT_EQ(Times(traffic.handshake), 1);
  EXPECT_EQ(traffic.connect.failed.value() + traffic.handshake.failed.value(), 0);
}

// The suites that the KMIP profiles make mandatory, which some servers have alone.
TEST_F(TlsConnectorTest, ServerWithRsaKeyExchangeAndCbcOnly) {
  test::TlsServerOptions options = Options();
  options.max_version = TLS1_2_VERSION;
  options.identity = *pki_.Issue(
      "rsa", {.common_name = "server", .names = {"IP:127.0.0.1"}, .for_server = true, .rsa = true});
  for (const std::string suite : {"AES256-SHA256", "AES128-SHA256"}) {
    options.cipher_list = suite;
    std::string used;
    TlsServer server(options, [&](SSL* ssl) {
      used = SSL_get_cipher_name(ssl);
      Echo(ssl);
    });
    {
      const auto talk = Dial(server);
      ASSERT_THAT(talk, IsOk()) << suite;
      EXPECT_THAT((*talk)->Ask("hello"), IsOkAndHolds("hello"));
    }
    server.Join();
    EXPECT_EQ(used, suite);
  }
}

// Some do so with 1024 bits, which OpenSSL then refuses.
TEST_F(TlsConnectorTest, ServerThatPrefersAFiniteFieldIsNotAskedForOne) {
  test::TlsServerOptions options = Options();
  options.max_version = TLS1_2_VERSION;
  options.prefers_dhe = true;
  options.identity = *pki_.Issue(
      "rsa", {.common_name = "server", .names = {"IP:127.0.0.1"}, .for_server = true, .rsa = true});
  std::string used;
  TlsServer server(options, [&](SSL* ssl) {
    used = SSL_get_cipher_name(ssl);
    Echo(ssl);
  });
  {
    const auto talk = Dial(server);
    ASSERT_THAT(talk, IsOk());
    EXPECT_THAT((*talk)->Ask("hello"), IsOkAndHolds("hello"));
  }
  server.Join();
  EXPECT_THAT(used, ::testing::StartsWith("ECDHE-"));
}

TEST_F(TlsConnectorTest, NothingIsNegotiatedAnew) {
  test::TlsServerOptions options = Options();
  options.max_version = TLS1_2_VERSION;
  int reason = 0;
  TlsServer server(options, [&](SSL* ssl) {
    EXPECT_EQ(SSL_renegotiate(ssl), 1);
    EXPECT_EQ(SSL_do_handshake(ssl), 1);  // asks for it
    Echo(ssl);
    reason = ERR_GET_REASON(ERR_peek_error());
  });
  {
    const auto talk = Dial(server);
    ASSERT_THAT(talk, IsOk());
    EXPECT_THAT((*talk)->Receive(), StatusIs(absl::StatusCode::kUnavailable, ::testing::_));
  }
  server.Join();
  EXPECT_EQ(reason, SSL_R_NO_RENEGOTIATION);
}

TEST_F(TlsConnectorTest, ServerIsNamedInTheHandshakeWhenItHasAName) {
  TlsServer server(Options(), Echo);
  {
    const auto talk = Dial(server, "localhost");
    ASSERT_THAT(talk, IsOk());
    EXPECT_THAT((*talk)->Ask("hello"), IsOkAndHolds("hello"));
  }
  server.Join();
  EXPECT_EQ(server.server_name(), "localhost");
}

TEST_F(TlsConnectorTest, AddressIsNotSentAsAName) {  // RFC 6066 section 3
  TlsServer server(Options(), Echo);
  {
    const auto talk = Dial(server);
    ASSERT_THAT(talk, IsOk());
    EXPECT_THAT((*talk)->Ask("hello"), IsOkAndHolds("hello"));
  }
  server.Join();
  EXPECT_EQ(server.server_name(), "");
}

TEST_F(TlsConnectorTest, ErrorsNameTheHostAndTheAddress) {
  LoopbackSocket socket;
  EXPECT_THAT(Client(socket.port(), "localhost").Dial(),
              StatusIs(absl::StatusCode::kUnavailable,
                       absl::StrCat("localhost:", socket.port(),
                                    " (127.0.0.1): connect: Connection refused")));
}

struct Identity {
  const char* name;
  const char* host;
  std::vector<std::string> names;
  const char* why;
};

class WrongNameTest : public TlsConnectorTest, public ::testing::WithParamInterface<Identity> {};
INSTANTIATE_TEST_SUITE_P(
    , WrongNameTest,
    ::testing::Values(
        Identity{"OtherName", "localhost", {"DNS:other.example"}, "hostname mismatch"},
        Identity{"OtherAddress", "127.0.0.1", {"IP:127.0.0.2"}, "IP address mismatch"},
        Identity{"AddressAsDnsName", "127.0.0.1", {"DNS:127.0.0.1"}, "IP address mismatch"},
        Identity{"NameInTheCommonNameOnly", "localhost", {}, "hostname mismatch"},
        Identity{"NameAsAddressEntry", "localhost", {"IP:127.0.0.1"}, "hostname mismatch"},
        Identity{"PartialWildcard", "localhost", {"DNS:local*"}, "hostname mismatch"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(WrongNameTest, IsRefused) {
  test::TlsServerOptions options = Options();
  options.identity = *pki_.Issue(
      "wrong", {.common_name = GetParam().host, .names = GetParam().names, .for_server = true});
  TlsServer server(options, Echo);
  EXPECT_THAT(Dial(server, GetParam().host),
              StatusIs(absl::StatusCode::kUnauthenticated,
                       MatchesRegex(absl::StrCat(GetParam().host,
                                                 ":[0-9]+[^:]*: the KMS's certificate is refused: ",
                                                 GetParam().why, ": .*; .*"))));
  server.Join();
  EXPECT_FALSE(server.accepted());
}

TEST_F(TlsConnectorTest, UnknownCaIsRefused) {
  const test::TempDir elsewhere;
  const auto other = test::TestPki::Create(elsewhere.path(), "Other CA");
  ASSERT_THAT(other, IsOk());
  TlsServer server(Options(), Echo);
  EXPECT_THAT(Client(server.port(), "127.0.0.1", other->ca()).Dial(),
              StatusIs(absl::StatusCode::kUnauthenticated,
                       absl::StrCat("127.0.0.1:", server.port(),
                                    ": the KMS's certificate is refused: self-signed "
                                    "certificate in certificate chain: the issuer is CN=Test CA; "
                                    "check --ca")));
  server.Join();
  EXPECT_FALSE(server.accepted());
}

TEST_F(TlsConnectorTest, ExpiredServerIsRefused) {
  test::TlsServerOptions options = Options();
  options.identity = *pki_.Issue("expired", {.common_name = "server",
                                             .names = {"IP:127.0.0.1"},
                                             .for_server = true,
                                             .valid_from = -7200,
                                             .valid_until = -3600});
  TlsServer server(options, Echo);
  EXPECT_THAT(Dial(server), StatusIs(absl::StatusCode::kUnauthenticated,
                                     HasSubstr("refused: certificate has expired: on ")));
}

TEST_F(TlsConnectorTest, CertificateOfAClientIsRefusedAsAServer) {
  test::TlsServerOptions options = Options();
  options.identity = *pki_.Issue("for_client", {.common_name = "x", .names = {"IP:127.0.0.1"}});
  TlsServer server(options, Echo);
  EXPECT_THAT(Dial(server),
              StatusIs(absl::StatusCode::kUnauthenticated,
                       MatchesRegex(".*refused: unsuitable certificate purpose: .*")));
}

TEST_F(TlsConnectorTest, ServerBelowTls12IsRefused) {
  test::TlsServerOptions options = Options();
  options.min_version = options.max_version = TLS1_1_VERSION;
  options.cipher_list = "ALL:@SECLEVEL=0";
  TlsServer server(options, Echo);
  EXPECT_THAT(Dial(server), StatusIs(absl::StatusCode::kUnavailable,
                                     MatchesRegex("127.0.0.1:[0-9]+: TLS handshake: .*version.*")));
}

TEST_P(TlsConnectorVersionTest, ServerThatDoesNotKnowOurCaSaysSo) {
  const test::TempDir elsewhere;
  const auto other = test::TestPki::Create(elsewhere.path(), "Other CA");
  ASSERT_THAT(other, IsOk());
  test::TlsServerOptions options = Options();
  options.min_version = options.max_version = GetParam();
  options.client_ca = other->ca();
  TlsServer server(options, Echo);
  auto talk = Dial(server);
  absl::Status status = talk.status();
  std::string what = "TLS handshake";
  if (talk.ok()) {  // with 1.3 the refusal comes after our side of the handshake
    EXPECT_EQ(GetParam(), TLS1_3_VERSION);
    what = "read";
    status = (*talk)->WaitUntilClosed();
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnauthenticated,
                               absl::StrCat("127.0.0.1:", server.port(), ": ", what,
                                            ": the KMS refuses our certificate (tlsv1 alert "
                                            "unknown ca); check --client-cert")));
}

TEST_F(TlsConnectorTest, ServerThatAcceptsAndNeverAnswersEndsWithTheDeadline) {
  LoopbackSocket socket;
  socket.Listen();
  EXPECT_THAT(
      Client(socket.port()).Dial(Soon()),
      StatusIs(absl::StatusCode::kDeadlineExceeded,
               absl::StrCat("127.0.0.1:", socket.port(), ": TLS handshake: no answer in time")));
}

// An opening that goes takes with it what it had begun, and nothing is told.
class GivingUpTest : public TlsTest {
 protected:
  static bool IsBroken(std::future<TlsClient::Dialled>& future) {
    try {
      static_cast<void>(future.get());
    } catch (const std::future_error&) {
      return true;
    }
    return false;
  }
  static long Descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::distance(begin(all), end(all));
  }
};

TEST_F(GivingUpTest, AtOnce) {
  LoopbackSocket socket;
  socket.Listen();
  TlsClient& client = Client(socket.port());
  std::unique_ptr<Opening> opening;
  client.loop().RunInTurn([&] {
    opening = client.connector().Open(Later(), [](const auto&) { FAIL(); });
    opening.reset();
  });
  EXPECT_EQ(socket.AcceptAll(), 0);
}

TEST_F(GivingUpTest, EndsAConnect) {
  LoopbackSocket socket;
  socket.Listen(0);
  const std::vector<UniqueFd> queue = socket.Fill();
  TlsClient& client = Client(socket.port());
  const long before = Descriptors();
  auto dialled = client.Begin();
  while (Descriptors() == before) std::this_thread::yield();
  client.GiveUp();
  EXPECT_TRUE(IsBroken(dialled));
  EXPECT_EQ(Descriptors(), before);
}

TEST_F(GivingUpTest, EndsAHandshake) {
  LoopbackSocket socket;
  socket.Listen();
  TlsClient& client = Client(socket.port());
  auto dialled = client.Begin();
  const UniqueFd connection = socket.Accept();
  char bytes[65536];
  ASSERT_GT(::recv(connection.get(), bytes, sizeof bytes, 0), 0);  // the ClientHello
  client.GiveUp();
  EXPECT_TRUE(IsBroken(dialled));
  EXPECT_EQ(::recv(connection.get(), bytes, sizeof bytes, 0), 0);
}

// The last moment at which it may.
TEST_F(GivingUpTest, WithinWhatIsToldOfIt) {
  TlsServer server(Options(), Echo);
  LoopbackSocket refuses;
  for (const uint16_t port : {server.port(), refuses.port()}) {
    TlsClient& client = Client(port);
    std::promise<bool> told;
    std::unique_ptr<Opening> opening;
    client.loop().RunInTurn([&] {
      opening =
          client.connector().Open(Later(), [&](absl::StatusOr<std::unique_ptr<Channel>> channel) {
            opening.reset();
            told.set_value(channel.ok());
          });
    });
    EXPECT_EQ(told.get_future().get(), port == server.port());
  }
}

TEST_F(TlsConnectorTest, ServerThatClosesDuringTheHandshakeIsUnavailable) {
  LoopbackSocket socket;
  socket.Listen();
  std::thread closer([&] {
    const UniqueFd connection = socket.Accept();
    char buffer[65536];  // the whole ClientHello, so that the end is a FIN and not a reset
    [[maybe_unused]] const auto read = ::recv(connection.get(), buffer, sizeof buffer, 0);
  });
  TlsClient& client = Client(socket.port());
  EXPECT_THAT(client.Dial(), StatusIs(absl::StatusCode::kUnavailable,
                                      absl::StrCat("127.0.0.1:", socket.port(),
                                                   ": TLS handshake: closed by the KMS")));
  closer.join();
  EXPECT_EQ(client.traffic().handshake.failed.value(), 1);
  EXPECT_EQ(client.traffic().connect.failed.value(), 0);
}

TEST_F(TlsConnectorTest, ServerThatSpeaksNoTlsIsUnavailable) {
  LoopbackSocket socket;
  socket.Listen();
  std::thread plain([&] {
    const UniqueFd connection = socket.Accept();
    char buffer[65536];
    [[maybe_unused]] const auto read = ::recv(connection.get(), buffer, sizeof buffer, 0);
    const std::string answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
    EXPECT_EQ(::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL), 28);
  });
  EXPECT_THAT(Client(socket.port()).Dial(),
              StatusIs(absl::StatusCode::kUnavailable,
                       absl::StrCat("127.0.0.1:", socket.port(),
                                    ": TLS handshake: wrong version number; what answers there "
                                    "speaks no TLS: check the port of --serv-addr")));
  plain.join();
}

TEST_F(TlsConnectorTest, RefusedPortIsUnavailable) {
  LoopbackSocket socket;
  EXPECT_THAT(Client(socket.port()).Dial(),
              StatusIs(absl::StatusCode::kUnavailable,
                       absl::StrCat("127.0.0.1:", socket.port(), ": connect: Connection refused")));
}

TEST_F(TlsConnectorTest, PassedDeadlineDialsNobody) {
  LoopbackSocket socket;
  socket.Listen();
  EXPECT_THAT(Client(socket.port()).Dial(Clock::now() - 1s),
              StatusIs(absl::StatusCode::kDeadlineExceeded, ::testing::_));
}

TEST_F(TlsConnectorTest, ClosesInOrderWhenItGoes) {
  std::promise<int> end;
  TlsServer server(Options(), [&](SSL* ssl) {
    char byte = 0;
    std::size_t size = 0;
    end.set_value(SSL_get_error(ssl, SSL_read_ex(ssl, &byte, 1, &size)));
  });
  ASSERT_THAT(Dial(server), IsOk());
  EXPECT_EQ(end.get_future().get(), SSL_ERROR_ZERO_RETURN);
}

}  // namespace
}  // namespace okms
