// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the tests of the plugin over REST stand on: the OKMS mock, its faults, nginx before it.

#include <gmock/gmock.h>
#include <httplib.h>

#include <future>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "integration/http_front.h"
#include "integration/wait.h"
#include "mock_kms/handler.h"
#include "mock_kms/jwe.h"
#include "mock_kms/mock_okms.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"

namespace okms::test {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr char kKeyId[] = "6f1de3a0-2b5c-4d7e-8f90-1a2b3c4d5e6f";

class OkmsMockTest : public ::testing::Test {
 protected:
  OkmsMockTest()
      : pki_(Must(TestPki::Create(folder_.path()))),
        server_(Must(pki_.Issue("server", {.common_name = "localhost",
                                           .names = {"DNS:localhost", "IP:127.0.0.1"},
                                           .for_server = true}))),
        client_(Must(pki_.Issue("client", {.common_name = "plugin"}))),
        okms_(Must(MockOkms::Start(
            {.certificate = server_.certificate, .key = server_.key, .client_ca = pki_.ca()},
            keys_))) {
    keys_.Put(Must(ParseMockKey(absl::StrCat("id=", kKeyId, ",name=kek"))));
  }

  std::unique_ptr<httplib::SSLClient> NewClient(uint16_t port) const {
    auto client =
        std::make_unique<httplib::SSLClient>("127.0.0.1", port, client_.certificate, client_.key);
    client->set_ca_cert_path(pki_.ca().c_str());
    client->set_keep_alive(true);
    client->set_read_timeout(kPatience);
    return client;
  }

  std::string Path(absl::string_view rest = "") const {
    return absl::StrCat("/api/", okms_->okms_id(), "/v1/servicekey", rest);
  }
  httplib::Result Get(httplib::SSLClient& client) const {
    return client.Get(Path(absl::StrCat("/", kKeyId)));
  }

  TempDir folder_;
  TestPki pki_;
  KeyPairFiles server_;
  KeyPairFiles client_;
  KeyStore keys_;
  std::unique_ptr<MockOkms> okms_;
};

TEST_F(OkmsMockTest, KeepsARecordOfWhatItWasAsked) {
  const auto client = NewClient(okms_->port());
  const std::string path = Path(absl::StrCat("/", kKeyId, "/encrypt?a=%25b"));
  const auto answer =
      client->Post(path, {{"X-Test", "yes"}}, R"({"plaintext":"aGk="})", "application/json");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  ASSERT_TRUE(Get(*client));
  const std::vector<RestRequest> requests = okms_->Requests();
  ASSERT_THAT(requests, SizeIs(2));
  EXPECT_EQ(requests[0].method, "POST");
  EXPECT_EQ(requests[0].target, path);
  EXPECT_EQ(requests[0].version, "HTTP/1.1");
  EXPECT_EQ(requests[0].body, R"({"plaintext":"aGk="})");
  EXPECT_THAT(requests[0].headers, Contains(Pair("X-Test", "yes")));
  EXPECT_EQ(requests[1].method, "GET");
  EXPECT_EQ(okms_->connections(), 1) << "both on one connection";
  okms_->ClearRequests();
  EXPECT_THAT(okms_->Requests(), SizeIs(0));
}

TEST_F(OkmsMockTest, ServesTheKeysOfTheKmipSide) {
  Handler handler({});
  handler.Put(Must(ParseMockKey(absl::StrCat("id=", kKeyId, ",name=over-both"))));
  const auto okms = Must(MockOkms::Start(
      {.certificate = server_.certificate, .key = server_.key, .client_ca = pki_.ca()},
      handler.keys()));
  const auto client = NewClient(okms->port());
  const auto answer = Get(*client);
  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->body, HasSubstr("over-both"));
  handler.Remove(kKeyId);
  EXPECT_EQ(Get(*client)->status, 404);
}

TEST_F(OkmsMockTest, DroppedConnectionsAreGoneAndNewOnesWelcome) {
  const auto client = NewClient(okms_->port());
  ASSERT_TRUE(Get(*client));
  okms_->DropConnections();
  const auto other = NewClient(okms_->port());
  ASSERT_TRUE(Get(*other));
  EXPECT_EQ(okms_->connections(), 2);
}

TEST_F(OkmsMockTest, FaultsEndAfterTheirTimesAndSpareOtherCalls) {
  okms_->SetFault(Must(ParseRestFault("status=500:get:1")));
  const auto client = NewClient(okms_->port());
  EXPECT_EQ(client->Get(Path())->status, 200);
  EXPECT_EQ(Get(*client)->status, 500);
  EXPECT_EQ(Get(*client)->status, 200);
}

TEST_F(OkmsMockTest, EndsAtOnceWhileRequestsHangOrAreDelayed) {
  okms_->SetFault(RestFault{.kind = RestFaultKind::kHang, .times = 1});
  okms_->SetDelay(std::chrono::hours(1));
  const auto hang = [&] {
    return std::async(std::launch::async, [client = std::shared_ptr(NewClient(okms_->port())),
                                           path = Path()] { return bool(client->Get(path)); });
  };
  auto delayed = hang();
  ASSERT_TRUE(WaitUntil([&] { return okms_->Requests().size() == 1; }));
  okms_->SetDelay(std::chrono::microseconds(0));
  auto hanging = hang();
  ASSERT_TRUE(WaitUntil([&] { return okms_->Requests().size() == 2; }));
  const auto idle = NewClient(okms_->port());
  ASSERT_TRUE(WaitUntil([&] { return bool(idle->Get(Path())); }));
  const auto begun = Clock::now();
  okms_.reset();
  EXPECT_LT(Clock::now() - begun, std::chrono::seconds(5));
  EXPECT_FALSE(delayed.get());
  EXPECT_FALSE(hanging.get());
}

TEST_F(OkmsMockTest, ServesSixtyFourConnectionsAtOnce) {
  std::vector<std::unique_ptr<httplib::SSLClient>> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(NewClient(okms_->port()));
    ASSERT_TRUE(Get(*clients.back()));
  }
  for (const auto& client : clients) ASSERT_TRUE(Get(*client));
  EXPECT_EQ(okms_->connections(), 64);
}

TEST_F(OkmsMockTest, NginxPassesEverythingOn) {
  OKMS_REQUIRE_NGINX();
  const auto front = Must(HttpFront::Start(
      {.upstream_port = okms_->port(), .ca = pki_.ca(), .server = server_, .client = client_}));
  const auto client = NewClient(front->port());
  const auto answer = client->Get(Path("?state=active&continuation-token=a%2B%2F%3D"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 400) << "the mock's answer to such a token";
  EXPECT_THAT(answer->body, HasSubstr("error_id"));
  ASSERT_TRUE(Get(*client));
  const std::vector<RestRequest> requests = okms_->Requests();
  ASSERT_THAT(requests, SizeIs(2));
  EXPECT_EQ(requests[0].target, Path("?state=active&continuation-token=a%2B%2F%3D"));
  EXPECT_EQ(requests[0].Header("X-Front-Protocol"), "HTTP/1.1") << "this client has no HTTP/2";
  EXPECT_EQ(requests[0].Header("X-Front-Connection"), requests[1].Header("X-Front-Connection"));
  EXPECT_EQ(okms_->connections(), 1) << front->Log();
}

TEST(RestFaultTest, Parses) {
  const RestFault redirect = Must(ParseRestFault("redirect=https://127.0.0.1:8443:get:2"));
  EXPECT_EQ(redirect.kind, RestFaultKind::kRedirect);
  EXPECT_EQ(redirect.value, "https://127.0.0.1:8443");
  EXPECT_EQ(redirect.call, RestCall::kGet);
  EXPECT_EQ(redirect.times, 2);
  EXPECT_EQ(Must(ParseRestFault("redirect=https://127.0.0.1:8443")).value,
            "https://127.0.0.1:8443");
  const RestFault later = Must(ParseRestFault("retry-after=503/7:3"));
  EXPECT_EQ(later.status, 503);
  EXPECT_EQ(later.value, "7");
  EXPECT_EQ(later.call, std::nullopt);
  EXPECT_EQ(later.times, 3);
  EXPECT_EQ(Must(ParseRestFault("hang")).times, -1);
}

TEST(RestFaultTest, RefusesWhatItDoesNotKnow) {
  for (const char* text : {"", "hung", "hang=1", "status", "status=9", "status=500:put",
                           "status=500:get:x", "retry-after", "redirect", "hang:1:get"}) {
    EXPECT_THAT(ParseRestFault(text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("big-ciphertext")))
        << text;
  }
}

TEST(JweTest, TakesItsOwnBackAndNothingElse) {
  const std::string key(32, 'k');
  const std::string other_key(32, 'o');
  const JweBinding binding{.kid = kKeyId, .context = "ctx"};
  const std::string jwe = Must(JweEncrypt(AsBytes(key), binding, AsBytes("secret")));
  EXPECT_EQ(Must(JweDecrypt(AsBytes(key), binding, jwe)), "secret");
  const auto refused = [&](absl::string_view material, const JweBinding& b, const std::string& j) {
    return absl::IsInvalidArgument(JweDecrypt(AsBytes(material), b, j).status());
  };
  EXPECT_TRUE(refused(other_key, binding, jwe));
  EXPECT_TRUE(refused(key, {.kid = "another", .context = "ctx"}, jwe));
  EXPECT_TRUE(refused(key, {.kid = kKeyId, .context = "other"}, jwe));
  EXPECT_TRUE(refused(key, {.kid = kKeyId}, jwe));
  EXPECT_TRUE(refused(key, binding, ""));
  EXPECT_TRUE(refused(key, binding, jwe + "."));
  EXPECT_TRUE(refused(key, binding, jwe + "="));
  for (std::size_t i = 0; i < jwe.size(); ++i) {
    std::string changed = jwe;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_TRUE(refused(key, binding, changed)) << "at " << i;
  }
}

}  // namespace
}  // namespace okms::test
