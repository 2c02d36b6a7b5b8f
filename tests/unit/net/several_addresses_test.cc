// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// TlsConnector with a name that has several addresses, of which some are dead in one way or
// another.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "support/dns_server.h"
#include "support/status_is.h"
#include "unit/net/tls_client.h"
#include "unit/net/tls_server.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::Echo;
using test::IsOk;
using test::LoopbackSocket;
using test::StatusIs;
using test::TlsClient;
using test::TlsServer;
using ::testing::HasSubstr;

constexpr char kName[] = "kms.example";
constexpr char kFirst[] = "127.0.0.1";
constexpr char kSecond[] = "127.0.0.2";

class SeveralAddressesTest : public test::TlsTest {
 protected:
  SeveralAddressesTest() {
    server_ = *pki_.Issue(
        "named",
        {.common_name = "server", .names = {std::string("DNS:") + kName}, .for_server = true});
    name_servers_ = dns_.HostPort();
    dns_.Set(kName, {kFirst, kSecond});
  }

  void NewClient(uint16_t port) { Client(port, kName); }
  std::unique_ptr<TlsServer> NewServer(const std::string& address, uint16_t port,
                                       TlsServer::Session session, int connections = 2) {
    test::TlsServerOptions options = Options();
    options.address = address;
    options.port = port;
    options.connections = connections;
    return std::make_unique<TlsServer>(options, std::move(session));
  }
  TlsClient::Dialled Dial(Clock::duration time = 1h) {
    return client_of_test_->Dial(Clock::now() + time);
  }
  // Dials, and asks something.
  absl::Status Ask() {
    OKMS_ASSIGN_OR_RETURN(const auto talk, Dial());
    OKMS_RETURN_IF_ERROR(talk->Ask("?").status());
    client_of_test_->loop().RunInTurn([&] { talk->channel().Answered(); });
    return absl::OkStatus();
  }
  // Dials in vain; whom the error names.
  std::string Named(Clock::duration time) {
    const absl::Status status = Dial(time).status();
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("no answer")));
    const std::string message(status.message());
    const std::size_t begin = message.find('(') + 1;
    return message.substr(begin, message.find(')') - begin);
  }

  test::DnsServer dns_;
};

TEST_F(SeveralAddressesTest, OneThatTakesNoConnectionIsPassedOver) {
  LoopbackSocket hole(kFirst);
  hole.Listen(0);
  const std::vector<UniqueFd> queue = hole.Fill();
  const auto server = NewServer(kSecond, hole.port(), Echo);
  NewClient(hole.port());
  EXPECT_THAT(Ask(), IsOk()) << "with an hour to wait for the other one";
  EXPECT_THAT(Ask(), IsOk());
}

TEST_F(SeveralAddressesTest, OneThatShakesNoHandsIsPassedOverAndNotTriedAgain) {
  LoopbackSocket silent(kFirst);
  silent.Listen();
  const auto server = NewServer(kSecond, silent.port(), Echo);
  NewClient(silent.port());
  EXPECT_THAT(Ask(), IsOk());
  EXPECT_THAT(Ask(), IsOk());
  EXPECT_EQ(silent.AcceptAll(), 1);
}

TEST_F(SeveralAddressesTest, OneThatRefusesCostsNothing) {
  LoopbackSocket refuses(kFirst);
  const auto server = NewServer(kSecond, refuses.port(), Echo);
  NewClient(refuses.port());
  EXPECT_THAT(Ask(), IsOk());
}

TEST_F(SeveralAddressesTest, OneThatIsToldToBeSilentComesLast) {
  LoopbackSocket reserved(kSecond);  // a port for both
  const auto server = NewServer(kFirst, reserved.port(), Echo, 1);
  NewClient(reserved.port());
  {
    const auto talk = Dial();
    ASSERT_THAT(talk, IsOk());
    client_of_test_->loop().RunInTurn([&] {
      (*talk)->channel().Answered();
      (*talk)->channel().Silent();
    });
  }
  reserved.Listen();
  EXPECT_EQ(Named(50ms), kSecond);
}

TEST_F(SeveralAddressesTest, OneThatAnsweredComesFirst) {
  LoopbackSocket first(kFirst);
  const auto server = NewServer(kSecond, first.port(), Echo);
  NewClient(first.port());
  ASSERT_THAT(Ask(), IsOk());
  first.Listen();
  ASSERT_THAT(Ask(), IsOk());
  EXPECT_EQ(first.AcceptAll(), 0);
}

TEST_F(SeveralAddressesTest, WhenAllAreSilentTheLastThatWasTriedIsNamed) {
  LoopbackSocket first(kFirst);
  first.Listen();
  LoopbackSocket second(kSecond, first.port());
  second.Listen();
  NewClient(first.port());
  // Less time than anybody could be expected to need tells nothing.
  EXPECT_EQ(Named(50ms), kFirst);
  EXPECT_EQ(Named(50ms), kFirst);
  EXPECT_EQ(Named(1500ms), kSecond);
  EXPECT_EQ(Named(50ms), kSecond) << "the first one was silent";
}

TEST_F(SeveralAddressesTest, OneThatWasSilentIsKnownToBeWhenTheOpeningIsGivenUp) {
  LoopbackSocket first(kFirst);
  first.Listen();
  LoopbackSocket second(kSecond, first.port());
  second.Listen();
  NewClient(first.port());
  auto dialled = client_of_test_->Begin();
  const UniqueFd until = second.Accept();  // a second later
  client_of_test_->GiveUp();
  EXPECT_EQ(Named(50ms), kSecond);
}

TEST_F(SeveralAddressesTest, OneThatTookTheConnectionIsGivenTimeToShakeHands) {
  LoopbackSocket slow(kFirst);
  slow.Listen();
  LoopbackSocket second(kSecond, slow.port());
  second.Listen();
  NewClient(slow.port());
  EXPECT_EQ(Named(800ms), kFirst);
  EXPECT_EQ(second.AcceptAll(), 0);
}

TEST_F(SeveralAddressesTest, AtMostFourAreTriedBesideEachOther) {
  std::vector<std::string> addresses;
  std::list<LoopbackSocket> holes;
  std::vector<std::vector<UniqueFd>> queues;
  for (int i = 1; i <= 6; ++i) {
    addresses.push_back("127.0.0." + std::to_string(i));
    holes.emplace_back(addresses.back(), holes.empty() ? uint16_t{0} : holes.front().port());
    holes.back().Listen(0);
    queues.push_back(holes.back().Fill());
  }
  dns_.Set(kName, addresses);
  NewClient(holes.front().port());
  EXPECT_EQ(Named(1400ms), "127.0.0.4");
}

// The next one is tried at once, though another one is silent all the while.
TEST_F(SeveralAddressesTest, OneThatRefusesBesideOneThatIsSilentCostsNothing) {
  dns_.Set(kName, {kFirst, kSecond, "127.0.0.3"});
  LoopbackSocket silent(kFirst);
  silent.Listen();
  const auto server = NewServer("127.0.0.3", silent.port(), Echo);
  NewClient(silent.port());
  EXPECT_THAT(Ask(), IsOk()) << "with an hour to wait for the first one";
}

// The reason that an address gave, rather than that another one gave none.
TEST_F(SeveralAddressesTest, ACertificateThatIsRefusedIsTheReasonBesideOneThatIsSilent) {
  LoopbackSocket silent(kFirst);
  silent.Listen();
  server_ = *pki_.Issue("other",
                        {.common_name = "other", .names = {"DNS:elsewhere"}, .for_server = true});
  const auto server = NewServer(kSecond, silent.port(), Echo, 1);
  NewClient(silent.port());
  EXPECT_THAT(Dial(1500ms), StatusIs(absl::StatusCode::kUnauthenticated,
                                     HasSubstr("(127.0.0.2): the KMS's certificate is refused")));
}

}  // namespace
}  // namespace okms
