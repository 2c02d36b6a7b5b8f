// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// TlsConnector and the name of its host: when it is asked for, and what serves meanwhile.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/dns_server.h"
#include "support/status_is.h"
#include "unit/net/tls_client.h"
#include "unit/net/tls_server.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::DnsServer;
using test::Echo;
using test::IsOk;
using test::LoopbackSocket;
using test::Soon;
using test::StatusIs;
using test::TlsClient;
using test::TlsServer;
using ::testing::HasSubstr;
using Code = absl::StatusCode;
using Mode = DnsServer::Mode;

constexpr char kName[] = "kms.example";

class ConnectorNameTest : public test::TlsTest {
 protected:
  ConnectorNameTest() {
    server_ = *pki_.Issue(
        "named",
        {.common_name = "server", .names = {std::string("DNS:") + kName}, .for_server = true});
    name_servers_ = dns_->HostPort();
    dns_->Set(kName, {"127.0.0.1"});
  }

  test::TlsServerOptions Options(const std::string& address, uint16_t port) const {
    test::TlsServerOptions options = TlsTest::Options();
    options.address = address;
    options.port = port;
    return options;
  }
  // What was learned may be asked for anew.
  static void LetItAge() { std::this_thread::sleep_for(1100ms); }

  std::unique_ptr<DnsServer> dns_ = std::make_unique<DnsServer>();
  // Free at each address: at one of them it may still be that of a connection that is over.
  static uint16_t FreePort() { return LoopbackSocket("0.0.0.0").port(); }

  LoopbackSocket port_{"127.0.0.3", FreePort()};  // keeps it for the servers
};

TEST_F(ConnectorNameTest, IsAskedForOnceForManyOpenings) {
  TlsClient& client = Client(port_.port(), kName);
  EXPECT_EQ(dns_->questions(), 0);
  {
    TlsServer server(Options("127.0.0.1", port_.port()), Echo);
    EXPECT_THAT(client.Dial(), IsOk());
  }
  EXPECT_THAT(client.Dial(), StatusIs(Code::kUnavailable, HasSubstr("Connection refused")));
  EXPECT_EQ(dns_->questions(), 2);  // for IPv4, and for IPv6
}

TEST_F(ConnectorNameTest, FailureIsPassedOnWhenThereNeverWasAnAnswer) {
  EXPECT_THAT(Client(1, "other.example").Dial(),
              StatusIs(Code::kUnavailable, "cannot resolve other.example: Domain name not found"));
}

TEST_F(ConnectorNameTest, NameThatCannotExistIsUnavailable) {
  // RFC 6761: "invalid" never resolves; without a name server the error is another one.
  name_servers_ = "";
  EXPECT_THAT(Client(1, "name.invalid").Dial(),
              StatusIs(Code::kUnavailable, ::testing::StartsWith("cannot resolve name.invalid: ")));
}

TEST_F(ConnectorNameTest, SilenceEndsWithTheDeadline) {
  dns_->SetMode(Mode::kSilent);
  const auto begin = Clock::now();
  EXPECT_THAT(Client(1, kName).Dial(begin + 100ms),
              StatusIs(Code::kDeadlineExceeded,
                       "cannot resolve kms.example: the name service did not answer in time"));
  EXPECT_GE(Clock::now(), begin + 100ms);
}

TEST_F(ConnectorNameTest, GivingUpEndsASilentLookUp) {
  dns_->SetMode(Mode::kSilent);
  TlsClient& client = Client(1, kName);
  auto dialled = client.Begin();
  while (dns_->questions() == 0) std::this_thread::yield();
  client.GiveUp();
  EXPECT_THROW(static_cast<void>(dialled.get()), std::future_error);
}

TEST_F(ConnectorNameTest, SeveralMayWaitForIt) {
  dns_->SetMode(Mode::kFail);
  TlsClient& client = Client(1, kName);
  std::vector<std::unique_ptr<Opening>> openings;
  int told = 0;
  std::promise<void> all_told;
  client.loop().RunInTurn([&] {
    for (int i = 0; i < 3; ++i) {
      openings.push_back(client.connector().Open(test::Later(), [&](const auto& channel) {
        EXPECT_THAT(channel, StatusIs(Code::kUnavailable, HasSubstr("cannot resolve")));
        if (++told == 3) all_told.set_value();
      }));
    }
  });
  all_told.get_future().wait();
  client.loop().RunInTurn([&] { openings.clear(); });
}

TEST_F(ConnectorNameTest, WhoIsToldMayGiveUpTheOthers) {
  dns_->SetMode(Mode::kFail);
  TlsClient& client = Client(1, kName);
  std::vector<std::unique_ptr<Opening>> openings;
  std::promise<void> told;
  client.loop().RunInTurn([&] {
    for (int i = 0; i < 3; ++i) {
      openings.push_back(client.connector().Open(test::Later(), [&](const auto&) {
        openings.clear();
        told.set_value();  // throws when it is called again
      }));
    }
  });
  told.get_future().wait();
  client.loop().RunInTurn([] {});
}

TEST_F(ConnectorNameTest, RecoversWhenTheNameServerComes) {
  TlsServer server(Options("127.0.0.1", port_.port()), Echo);
  TlsClient& client = Client(server.port(), kName);
  dns_->SetMode(Mode::kSilent);
  EXPECT_THAT(client.Dial(Soon()), StatusIs(Code::kDeadlineExceeded, ::testing::_));
  dns_->SetMode(Mode::kAnswer);
  EXPECT_THAT(client.Dial(), IsOk());
}

TEST_F(ConnectorNameTest, OlderAnswerServesWhenTheNameServerIsGone) {
  TlsClient& client = Client(port_.port(), kName);
  EXPECT_THAT(client.Dial(), StatusIs(Code::kUnavailable, HasSubstr("Connection refused")));
  dns_.reset();
  LetItAge();
  EXPECT_THAT(client.Dial(), StatusIs(Code::kUnavailable, HasSubstr("Connection refused")));
  TlsServer server(Options("127.0.0.1", port_.port()), Echo);
  EXPECT_THAT(client.Dial(), IsOk());
}

TEST_F(ConnectorNameTest, OlderAnswerServesWhenTheNameServerIsSilent) {
  TlsClient& client = Client(port_.port(), kName);
  EXPECT_THAT(client.Dial(), StatusIs(Code::kUnavailable, HasSubstr("Connection refused")));
  dns_->SetMode(Mode::kSilent);
  LetItAge();
  // It is not waited for as long as it takes to fail, which is three seconds.
  const auto begin = Clock::now();
  EXPECT_THAT(client.Dial(), StatusIs(Code::kUnavailable, HasSubstr("Connection refused")));
  EXPECT_LT(Clock::now(), begin + 2500ms);
  TlsServer server(Options("127.0.0.1", port_.port()), Echo);
  EXPECT_THAT(client.Dial(), IsOk());
}

TEST_F(ConnectorNameTest, NewAddressIsTriedByWhoFindsTheOldOneGone) {
  TlsClient& client = Client(port_.port(), kName);
  EXPECT_THAT(client.Dial(), StatusIs(Code::kUnavailable, HasSubstr("Connection refused")));
  TlsServer server(Options("127.0.0.2", port_.port()), Echo);
  dns_->Set(kName, {"127.0.0.2"});
  LetItAge();
  EXPECT_THAT(client.Dial(), IsOk());
}

TEST_F(ConnectorNameTest, NewAddressIsTriedByWhoFindsTheOldOneSilent) {
  LoopbackSocket silent("127.0.0.1", port_.port());
  silent.Listen();
  TlsClient& client = Client(port_.port(), kName);
  EXPECT_THAT(client.Dial(Clock::now() + 50ms), StatusIs(Code::kDeadlineExceeded, ::testing::_));
  TlsServer server(Options("127.0.0.2", port_.port()), Echo);
  dns_->Set(kName, {"127.0.0.2"});
  LetItAge();
  EXPECT_THAT(client.Dial(), IsOk()) << "with an hour to wait for the old one";
}

TEST_F(ConnectorNameTest, SeveralAddressesAreKnownOnceTheNameIs) {
  dns_->Set(kName, {"127.0.0.1", "127.0.0.2"});
  TlsClient& client = Client(port_.port(), kName);
  const auto several = [&] {
    bool result = false;
    client.loop().RunInTurn([&] { result = client.connector().HasSeveralAddresses(); });
    return result;
  };
  EXPECT_FALSE(several());
  EXPECT_THAT(client.Dial(), StatusIs(Code::kUnavailable, ::testing::_));
  EXPECT_TRUE(several());
}

TEST_F(ConnectorNameTest, AddressNeedsNoName) {
  LoopbackSocket refuses;
  EXPECT_THAT(Client(refuses.port()).Dial(), StatusIs(Code::kUnavailable, ::testing::_));
  EXPECT_EQ(dns_->questions(), 0);
}

}  // namespace
}  // namespace okms
