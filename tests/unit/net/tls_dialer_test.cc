// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/tls_dialer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"
#include "unit/net/tls_server.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::Echo;
using test::IsOk;
using test::LoopbackSocket;
using test::StatusIs;
using test::TlsServer;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

Deadline Later() { return Clock::now() + 1h; }
Deadline Soon() { return Clock::now() + 20ms; }

class TlsDialerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { ::signal(SIGPIPE, SIG_IGN); }  // as the program does

  TlsDialerTest()
      : pki_(*test::TestPki::Create(directory_.path())),
        client_(*pki_.Issue("client", {.common_name = "client one"})),
        server_(*pki_.Issue("server", {.common_name = "server",
                                       .names = {"DNS:localhost", "IP:127.0.0.1"},
                                       .for_server = true})) {}

  std::unique_ptr<TlsDialer> NewDialer(uint16_t port, const std::string& host = "127.0.0.1",
                                       const std::string& ca = {}) {
    auto context = TlsContext::Create({{"--client-cert", client_.certificate},
                                       {"--client-key", client_.key},
                                       {"--ca", ca.empty() ? pki_.ca() : ca}});
    EXPECT_THAT(context, IsOk());
    return std::make_unique<TlsDialer>(HostPort{host, port}, *std::move(context));
  }
  absl::StatusOr<std::unique_ptr<Stream>> Dial(const TlsServer& server,
                                               const std::string& host = "127.0.0.1") {
    return NewDialer(server.port(), host)->Dial(Later());
  }
  test::TlsServerOptions Options() const { return {.identity = server_, .client_ca = pki_.ca()}; }

  static void ExpectEcho(Stream& stream, const std::string& text) {
    ASSERT_THAT(stream.Write(AsBytes(text), Later()), IsOk());
    std::string back;
    while (back.size() < text.size()) {
      uint8_t buffer[100];
      const auto read = stream.Read(buffer, Later());
      ASSERT_THAT(read, IsOk());
      ASSERT_GT(*read, 0u);
      back += std::string(AsText(ByteView(buffer, *read)));
    }
    EXPECT_EQ(back, text);
  }

  test::TempDir directory_;
  test::TestPki pki_;
  test::KeyPairFiles client_;
  test::KeyPairFiles server_;
};

class TlsVersionTest : public TlsDialerTest, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(, TlsVersionTest, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& test) {
                           return test.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

TEST_P(TlsVersionTest, CarriesBytesBothWays) {
  test::TlsServerOptions options = Options();
  options.min_version = options.max_version = GetParam();
  std::string version;
  TlsServer server(options, [&](SSL* ssl) {
    version = SSL_get_version(ssl);
    Echo(ssl);
  });
  {
    const auto stream = Dial(server);
    ASSERT_THAT(stream, IsOk());
    ExpectEcho(**stream, "hello");
    ExpectEcho(**stream, std::string(10'000, 'x'));
  }
  server.Join();
  EXPECT_EQ(server.client(), "client one");
  EXPECT_EQ(version, GetParam() == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
}

TEST_P(TlsVersionTest, IdleStreamIsQuiet) {
  test::TlsServerOptions options = Options();
  options.min_version = options.max_version = GetParam();
  // With TLS 1.3 the session tickets are on their way once the server's handshake has returned.
  std::promise<void> tickets_sent;
  TlsServer server(options, [&](SSL* ssl) {
    tickets_sent.set_value();
    Echo(ssl);
  });
  const auto stream = Dial(server);
  ASSERT_THAT(stream, IsOk());
  tickets_sent.get_future().wait();
  EXPECT_TRUE((*stream)->IsQuiet());
  ExpectEcho(**stream, "still there");
  EXPECT_TRUE((*stream)->IsQuiet());
}

TEST_P(TlsVersionTest, StreamIsNotQuietOnceThePeerHasClosed) {
  test::TlsServerOptions options = Options();
  options.min_version = options.max_version = GetParam();
  TlsServer server(options, [](SSL* ssl) { SSL_shutdown(ssl); });
  const auto stream = Dial(server);
  ASSERT_THAT(stream, IsOk());
  server.Join();
  const Deadline patience = Clock::now() + 1min;
  while ((*stream)->IsQuiet()) ASSERT_FALSE(Expired(patience));
  EXPECT_FALSE((*stream)->IsQuiet());
}

TEST_P(TlsVersionTest, StreamIsNotQuietWithBytesThatNobodyAskedFor) {
  test::TlsServerOptions options = Options();
  options.min_version = options.max_version = GetParam();
  TlsServer server(options, [](SSL* ssl) {
    std::size_t written = 0;
    SSL_write_ex(ssl, "late", 4, &written);
    Echo(ssl);
  });
  {
    const auto stream = Dial(server);
    ASSERT_THAT(stream, IsOk());
    const Deadline patience = Clock::now() + 1min;
    while ((*stream)->IsQuiet()) ASSERT_FALSE(Expired(patience));
    EXPECT_FALSE((*stream)->IsQuiet());
  }
}

TEST_P(TlsVersionTest, PeerThatClosesIsUnavailable) {
  for (const bool in_order : {true, false}) {
    test::TlsServerOptions options = Options();
    options.min_version = options.max_version = GetParam();
    TlsServer server(options, [&](SSL* ssl) {
      char byte = 0;
      std::size_t size = 0;
      SSL_read_ex(ssl, &byte, 1, &size);  // no unread byte is left: the end is a FIN, not a reset
      if (in_order) SSL_shutdown(ssl);
    });
    const auto stream = Dial(server);
    ASSERT_THAT(stream, IsOk());
    ASSERT_THAT((*stream)->Write(AsBytes("x"), Later()), IsOk());
    uint8_t buffer[1];
    EXPECT_THAT((*stream)->Read(buffer, Later()),
                StatusIs(absl::StatusCode::kUnavailable,
                         absl::StrCat("127.0.0.1:", server.port(), ": read: closed by the KMS")));
    EXPECT_FALSE((*stream)->IsQuiet());
  }
}

TEST_P(TlsVersionTest, SilentPeerEndsWithTheDeadline) {
  test::TlsServerOptions options = Options();
  options.min_version = options.max_version = GetParam();
  std::promise<void> over;
  TlsServer server(options, [&](SSL*) { over.get_future().wait(); });
  const auto stream = Dial(server);
  ASSERT_THAT(stream, IsOk());
  uint8_t buffer[1];
  EXPECT_THAT((*stream)->Read(buffer, Soon()),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       absl::StrCat("127.0.0.1:", server.port(), ": read: no answer in time")));
  EXPECT_FALSE((*stream)->IsQuiet());
  over.set_value();
}

TEST_F(TlsDialerTest, WriteToAPeerThatDoesNotReadEndsWithTheDeadline) {
  std::promise<void> over;
  TlsServer server(Options(), [&](SSL*) { over.get_future().wait(); });
  const auto stream = Dial(server);
  ASSERT_THAT(stream, IsOk());
  const std::vector<uint8_t> more_than_buffers_hold(64 << 20);
  EXPECT_THAT((*stream)->Write(more_than_buffers_hold, Clock::now() + 200ms),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       absl::StrCat("127.0.0.1:", server.port(), ": write: no answer in time")));
  over.set_value();
}

// The suites that the KMIP profiles make mandatory, which some servers have alone.
TEST_F(TlsDialerTest, ServerWithRsaKeyExchangeAndCbcOnly) {
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
      const auto stream = Dial(server);
      ASSERT_THAT(stream, IsOk()) << suite;
      ExpectEcho(**stream, "hello");
    }
    server.Join();
    EXPECT_EQ(used, suite);
  }
}

// Some do so with 1024 bits, which OpenSSL then refuses.
TEST_F(TlsDialerTest, ServerThatPrefersAFiniteFieldIsNotAskedForOne) {
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
    const auto stream = Dial(server);
    ASSERT_THAT(stream, IsOk());
    ExpectEcho(**stream, "hello");
  }
  server.Join();
  EXPECT_THAT(used, ::testing::StartsWith("ECDHE-"));
}

TEST_F(TlsDialerTest, NothingIsNegotiatedAnew) {
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
    const auto stream = Dial(server);
    ASSERT_THAT(stream, IsOk());
    uint8_t buffer[1];
    EXPECT_THAT((*stream)->Read(buffer, Clock::now() + 5s),
                StatusIs(absl::StatusCode::kUnavailable, ::testing::_));
  }
  server.Join();
  EXPECT_EQ(reason, SSL_R_NO_RENEGOTIATION);
}

TEST_F(TlsDialerTest, ServerIsNamedInTheHandshakeWhenItHasAName) {
  TlsServer server(Options(), Echo);
  {
    const auto stream = Dial(server, "localhost");
    ASSERT_THAT(stream, IsOk());
    ExpectEcho(**stream, "hello");
  }
  server.Join();
  EXPECT_EQ(server.server_name(), "localhost");
}

TEST_F(TlsDialerTest, AddressIsNotSentAsAName) {  // RFC 6066 section 3
  TlsServer server(Options(), Echo);
  {
    const auto stream = Dial(server);
    ASSERT_THAT(stream, IsOk());
    ExpectEcho(**stream, "hello");
  }
  server.Join();
  EXPECT_EQ(server.server_name(), "");
}

TEST_F(TlsDialerTest, ErrorsNameTheHostAndTheAddress) {
  LoopbackSocket socket;
  EXPECT_THAT(NewDialer(socket.port(), "localhost")->Dial(Later()),
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

class WrongNameTest : public TlsDialerTest, public ::testing::WithParamInterface<Identity> {};
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

TEST_F(TlsDialerTest, UnknownCaIsRefused) {
  const test::TempDir elsewhere;
  const auto other = test::TestPki::Create(elsewhere.path(), "Other CA");
  ASSERT_THAT(other, IsOk());
  TlsServer server(Options(), Echo);
  EXPECT_THAT(NewDialer(server.port(), "127.0.0.1", other->ca())->Dial(Later()),
              StatusIs(absl::StatusCode::kUnauthenticated,
                       absl::StrCat("127.0.0.1:", server.port(),
                                    ": the KMS's certificate is refused: self-signed "
                                    "certificate in certificate chain: the issuer is CN=Test CA; "
                                    "check --ca")));
  server.Join();
  EXPECT_FALSE(server.accepted());
}

TEST_F(TlsDialerTest, ExpiredServerIsRefused) {
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

TEST_F(TlsDialerTest, CertificateOfAClientIsRefusedAsAServer) {
  test::TlsServerOptions options = Options();
  options.identity = *pki_.Issue("for_client", {.common_name = "x", .names = {"IP:127.0.0.1"}});
  TlsServer server(options, Echo);
  EXPECT_THAT(Dial(server),
              StatusIs(absl::StatusCode::kUnauthenticated,
                       MatchesRegex(".*refused: unsuitable certificate purpose: .*")));
}

TEST_F(TlsDialerTest, ServerBelowTls12IsRefused) {
  test::TlsServerOptions options = Options();
  options.min_version = options.max_version = TLS1_1_VERSION;
  options.cipher_list = "ALL:@SECLEVEL=0";
  TlsServer server(options, Echo);
  EXPECT_THAT(Dial(server), StatusIs(absl::StatusCode::kUnavailable,
                                     MatchesRegex("127.0.0.1:[0-9]+: TLS handshake: .*version.*")));
}

TEST_P(TlsVersionTest, ServerThatDoesNotKnowOurCaSaysSo) {
  const test::TempDir elsewhere;
  const auto other = test::TestPki::Create(elsewhere.path(), "Other CA");
  ASSERT_THAT(other, IsOk());
  test::TlsServerOptions options = Options();
  options.min_version = options.max_version = GetParam();
  options.client_ca = other->ca();
  TlsServer server(options, Echo);
  auto stream = Dial(server);
  absl::Status status = stream.status();
  std::string what = "TLS handshake";
  if (stream.ok()) {  // with 1.3 the refusal comes after our side of the handshake
    EXPECT_EQ(GetParam(), TLS1_3_VERSION);
    what = "read";
    uint8_t buffer[1];
    status = (*stream)->Read(buffer, Later()).status();
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnauthenticated,
                               absl::StrCat("127.0.0.1:", server.port(), ": ", what,
                                            ": the KMS refuses our certificate (tlsv1 alert "
                                            "unknown ca); check --client-cert")));
}

TEST_F(TlsDialerTest, ServerThatAcceptsAndNeverAnswersEndsWithTheDeadline) {
  LoopbackSocket socket;
  socket.Listen();
  EXPECT_THAT(
      NewDialer(socket.port())->Dial(Soon()),
      StatusIs(absl::StatusCode::kDeadlineExceeded,
               absl::StrCat("127.0.0.1:", socket.port(), ": TLS handshake: no answer in time")));
}

// What waits ends when the dialer is cancelled, at each stage: an hour is left to its deadline.
class CancelTest : public TlsDialerTest {
 protected:
  // Dials on another thread; what the dial ends with.
  std::future<absl::Status> DialAsync(TlsDialer& dialer) {
    return std::async(std::launch::async, [&] { return dialer.Dial(Later()).status(); });
  }
  static absl::Status Cancelled(uint16_t port, const std::string& stage) {
    return absl::CancelledError(
        absl::StrCat("127.0.0.1:", port, ": ", stage, ": the plugin is stopping"));
  }
};

TEST_F(CancelTest, EndsAConnect) {
  LoopbackSocket socket;
  socket.Listen(0);
  const std::vector<UniqueFd> queue = socket.Fill();
  const auto dialer = NewDialer(socket.port());
  auto dialled = DialAsync(*dialer);
  EXPECT_EQ(dialled.wait_for(50ms), std::future_status::timeout);
  dialer->Cancel();
  EXPECT_EQ(dialled.get(), Cancelled(socket.port(), "connect"));
}

TEST_F(CancelTest, EndsAHandshake) {
  LoopbackSocket socket;
  socket.Listen();
  const auto dialer = NewDialer(socket.port());
  auto dialled = DialAsync(*dialer);
  const UniqueFd connection = socket.Accept();
  char byte = 0;
  ASSERT_EQ(::recv(connection.get(), &byte, 1, 0), 1);  // of the ClientHello
  dialer->Cancel();
  EXPECT_EQ(dialled.get(), Cancelled(socket.port(), "TLS handshake"));
}

TEST_F(CancelTest, EndsARead) {
  std::promise<void> over;
  TlsServer server(Options(), [&](SSL*) { over.get_future().wait(); });
  const auto dialer = NewDialer(server.port());
  const auto stream = dialer->Dial(Later());
  ASSERT_THAT(stream, IsOk());
  auto read = std::async(std::launch::async, [&] {
    uint8_t buffer[1];
    return (*stream)->Read(buffer, Later()).status();
  });
  EXPECT_EQ(read.wait_for(50ms), std::future_status::timeout);
  dialer->Cancel();
  EXPECT_EQ(read.get(), Cancelled(server.port(), "read"));
  EXPECT_FALSE((*stream)->IsQuiet());
  over.set_value();
}

TEST_F(CancelTest, EndsAWrite) {
  std::promise<void> over;
  TlsServer server(Options(), [&](SSL*) { over.get_future().wait(); });
  const auto dialer = NewDialer(server.port());
  const auto stream = dialer->Dial(Later());
  ASSERT_THAT(stream, IsOk());
  auto written = std::async(std::launch::async, [&] {
    const std::vector<uint8_t> more_than_buffers_hold(64 << 20);
    return (*stream)->Write(more_than_buffers_hold, Later());
  });
  EXPECT_EQ(written.wait_for(50ms), std::future_status::timeout);
  dialer->Cancel();
  EXPECT_EQ(written.get(), Cancelled(server.port(), "write"));
  over.set_value();
}

TEST_F(CancelTest, NobodyIsDialledAnyMore) {
  LoopbackSocket socket;
  socket.Listen();
  const auto dialer = NewDialer(socket.port());
  dialer->Cancel();
  EXPECT_THAT(dialer->Dial(Later()), StatusIs(absl::StatusCode::kCancelled, ::testing::_));
}

TEST_F(TlsDialerTest, ServerThatClosesDuringTheHandshakeIsUnavailable) {
  LoopbackSocket socket;
  socket.Listen();
  std::thread closer([&] {
    const UniqueFd connection = socket.Accept();
    char buffer[65536];  // the whole ClientHello, so that the end is a FIN and not a reset
    [[maybe_unused]] const auto read = ::recv(connection.get(), buffer, sizeof buffer, 0);
  });
  EXPECT_THAT(
      NewDialer(socket.port())->Dial(Later()),
      StatusIs(absl::StatusCode::kUnavailable,
               absl::StrCat("127.0.0.1:", socket.port(), ": TLS handshake: closed by the KMS")));
  closer.join();
}

TEST_F(TlsDialerTest, ServerThatSpeaksNoTlsIsUnavailable) {
  LoopbackSocket socket;
  socket.Listen();
  std::thread plain([&] {
    const UniqueFd connection = socket.Accept();
    char buffer[65536];
    [[maybe_unused]] const auto read = ::recv(connection.get(), buffer, sizeof buffer, 0);
    const std::string answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
    EXPECT_EQ(::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL), 28);
  });
  EXPECT_THAT(NewDialer(socket.port())->Dial(Later()),
              StatusIs(absl::StatusCode::kUnavailable,
                       absl::StrCat("127.0.0.1:", socket.port(),
                                    ": TLS handshake: wrong version number; what answers there "
                                    "speaks no TLS: check the port of --serv-addr")));
  plain.join();
}

TEST_F(TlsDialerTest, RefusedPortIsUnavailable) {
  LoopbackSocket socket;
  EXPECT_THAT(NewDialer(socket.port())->Dial(Later()),
              StatusIs(absl::StatusCode::kUnavailable,
                       absl::StrCat("127.0.0.1:", socket.port(), ": connect: Connection refused")));
}

TEST_F(TlsDialerTest, PassedDeadlineDialsNobody) {
  LoopbackSocket socket;
  socket.Listen();
  EXPECT_THAT(NewDialer(socket.port())->Dial(Clock::now() - 1s),
              StatusIs(absl::StatusCode::kDeadlineExceeded, ::testing::_));
}

TEST_F(TlsDialerTest, ClosesInOrderWhenItGoes) {
  std::promise<int> end;
  TlsServer server(Options(), [&](SSL* ssl) {
    char byte = 0;
    std::size_t size = 0;
    end.set_value(SSL_get_error(ssl, SSL_read_ex(ssl, &byte, 1, &size)));
  });
  { ASSERT_THAT(Dial(server), IsOk()); }
  EXPECT_EQ(end.get_future().get(), SSL_ERROR_ZERO_RETURN);
}

}  // namespace
}  // namespace okms
