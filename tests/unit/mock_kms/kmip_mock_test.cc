// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the tests of batches and of full servers stand on: the KMIP mock and its faults.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "integration/wait.h"
#include "kmip/operations.h"
#include "mock_kms/mock_kms.h"
#include "net/openssl_ptr.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"

namespace okms::test {
namespace {

using kmip::Operation;
using kmip::Request;
using kmip::RequestItem;
using kmip::Response;
using ::testing::Each;
using ::testing::ElementsAre;

class KmipMockTest : public ::testing::Test {
 protected:
  void SetUp() override { handler_.Put(Must(ParseMockKey("id=key-1,name=kek"))); }

  // A message of one GetAttributes for each of these keys, with these ids.
  static WipedBytes Message(const std::vector<std::string>& keys,
                            const std::vector<std::string>& ids) {
    std::vector<std::function<void(ttlv::Writer&)>> payloads;
    for (const std::string& key : keys) {
      payloads.push_back([key](ttlv::Writer& writer) {
        kmip::GetAttributesRequest{key, {kmip::attribute::kState}}.Write(writer);
      });
    }
    std::vector<RequestItem> items;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      items.push_back({Operation::kGetAttributes, AsBytes(ids[i]), payloads[i]});
    }
    return Request::Encode({1, 4}, items);
  }

  // What comes back for a message, as "id:key" or "id:reason" for each item.
  std::vector<std::string> Ask(ByteView message) {
    const auto requests = Must(Request::Decode(message));
    return Told(handler_.Answer(message, TakeHit(fault_, requests)));
  }
  std::vector<std::string> Ask(const std::vector<std::string>& keys,
                               const std::vector<std::string>& ids) {
    return Ask(Message(keys, ids));
  }
  std::vector<std::string> AskThree() { return Ask({"key-1", "none", "key-1"}, {"a", "b", "c"}); }
  static std::vector<std::string> Told(const WipedBytes& reply) {
    std::vector<std::string> told;
    for (const Response& item : Must(Response::Decode(reply))) {
      const auto payload = item.Payload(Operation::kGetAttributes);
      const std::string what =
          payload.ok()
              ? std::string(Must(kmip::GetAttributesResponse::Read(*payload)).unique_identifier)
              : ToString(item.reason);
      told.push_back(absl::StrCat(AsText(item.batch_item_id), ":", what));
    }
    return told;
  }
  void SetFault(absl::string_view text) { fault_ = Must(ParseFault(text)); }

  Handler handler_{HandlerOptions{}};
  std::optional<Fault> fault_;
};

TEST_F(KmipMockTest, EachItemHasAResultOfItsOwn) {
  EXPECT_THAT(AskThree(), ElementsAre("a:key-1", "b:ItemNotFound", "c:key-1"));
  EXPECT_EQ(handler_.Counts().at(static_cast<uint32_t>(Operation::kGetAttributes)), 3);
}

TEST_F(KmipMockTest, WithoutContinueTheRestIsLeftOut) {
  for (const uint8_t option : {uint8_t{2}, uint8_t{3}}) {  // Stop, Undo
    WipedBytes message = Message({"key-1", "none", "key-1"}, {"a", "b", "c"});
    const std::string go_on("\x42\x00\x0e\x05\0\0\0\4\0\0\0\1", 12);
    const std::size_t at = AsText(message).find(go_on);
    ASSERT_NE(at, std::string::npos);
    message[at + go_on.size() - 1] = option;
    EXPECT_THAT(Ask(message), ElementsAre("a:key-1", "b:ItemNotFound"));
  }
}

TEST_F(KmipMockTest, ABatchNeedsIds) {
  EXPECT_THAT(Ask({"key-1", "key-1"}, {"a", ""}), ElementsAre(":InvalidMessage"));
  EXPECT_THAT(Ask({"key-1", "key-1"}, {"a", "a"}), ElementsAre(":InvalidMessage"));
  EXPECT_THAT(Ask({"key-1"}, {""}), ElementsAre(":key-1"));
}

TEST_F(KmipMockTest, FaultsOfABatch) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"refuse-batch=OperationNotSupported", {":OperationNotSupported"}},
      {"reorder", {"c:key-1", "a:key-1", "b:ItemNotFound"}},
      {"leave-out", {"a:key-1", "b:ItemNotFound"}},
      {"swap-ids", {"b:key-1", "a:ItemNotFound", "c:key-1"}},
      {"no-ids", {":key-1", ":ItemNotFound", ":key-1"}},
      {"double-item", {"a:key-1", "b:ItemNotFound", "a:key-1"}},
  };
  for (const auto& [fault, answers] : cases) {
    SCOPED_TRACE(fault);
    SetFault(absl::StrCat(fault, ":GetAttributes:2"));
    EXPECT_THAT(Ask({"key-1"}, {"a"}), ElementsAre("a:key-1"));  // no batch
    EXPECT_EQ(AskThree(), answers);
    EXPECT_EQ(AskThree(), answers);
    EXPECT_THAT(AskThree(), ElementsAre("a:key-1", "b:ItemNotFound", "c:key-1"));
    SetFault(absl::StrCat(fault, ":Decrypt"));
    EXPECT_THAT(AskThree(), ElementsAre("a:key-1", "b:ItemNotFound", "c:key-1"));
  }
}

TEST_F(KmipMockTest, FaultsOfAnItemAreCountedByItems) {
  SetFault("refuse=PermissionDenied:2");
  EXPECT_THAT(Ask({"key-1", "key-1", "key-1"}, {"a", "b", "c"}),
              ElementsAre("a:PermissionDenied", "b:PermissionDenied", "c:key-1"));
  SetFault("other-id");
  EXPECT_THAT(Ask({"key-1", "key-1"}, {"a", "b"}), Each("of another request:key-1"));
}

TEST_F(KmipMockTest, FaultsOfTheConnectionAreCountedByMessages) {
  for (const char* kind : {"reset", "close-batch"}) {
    SetFault(absl::StrCat(kind, ":1"));
    const auto batch = Must(Request::Decode(Message({"key-1", "key-1"}, {"a", "b"})));
    EXPECT_TRUE(TakeHit(fault_, batch).has_value());
    EXPECT_FALSE(TakeHit(fault_, batch).has_value());
  }
}

// With sockets.
class FullServerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { ::signal(SIGPIPE, SIG_IGN); }  // as the program of the mock does

  std::unique_ptr<MockKms> Start(Surplus surplus) {
    TestPki pki = Must(TestPki::Create(folder_.path()));
    const auto pair = Must(pki.Issue("server", {.common_name = "localhost", .for_server = true}));
    MockKmsOptions options;
    options.certificate = pair.certificate;
    options.key = pair.key;
    options.client_ca = pki.ca();
    options.max_connections = 2;
    options.surplus = surplus;
    return Must(MockKms::Start(std::move(options)));
  }
  static UniqueFd Connect(const MockKms& kms) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(kms.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  // Whether it shakes hands. (That it wants a certificate, TLS 1.3 says afterwards.)
  static bool Answers(const UniqueFd& fd) {
    const SslCtxPtr tls(SSL_CTX_new(TLS_client_method()));
    const SslPtr ssl(SSL_new(tls.get()));
    SSL_set_fd(ssl.get(), fd.get());
    const bool answers = SSL_connect(ssl.get()) == 1;
    ERR_clear_error();
    return answers;
  }
  // How it ends, if not by an answer.
  static std::string End(const UniqueFd& fd) {
    uint8_t byte = 0;
    const ssize_t got = ::read(fd.get(), &byte, 1);
    return got > 0 ? "an answer" : got == 0 ? "closed" : errno == ECONNRESET ? "reset" : "?";
  }

  TempDir folder_;
};

TEST_F(FullServerTest, ResetsWhatIsBeyondItsLimit) {
  const auto kms = Start(Surplus::kReset);
  const UniqueFd first = Connect(*kms);
  const UniqueFd second = Connect(*kms);
  const UniqueFd third = Connect(*kms);
  EXPECT_EQ(End(third), "reset");
  EXPECT_TRUE(Answers(second));
  EXPECT_TRUE(Answers(first));
  EXPECT_EQ(kms->connections(), 3);
}

TEST_F(FullServerTest, OrLeavesItUnanswered) {
  auto kms = Start(Surplus::kSilent);
  const UniqueFd first = Connect(*kms);
  const UniqueFd second = Connect(*kms);
  const UniqueFd third = Connect(*kms);
  const UniqueFd fourth = Connect(*kms);
  const std::string hello(100, 'x');
  EXPECT_EQ(::send(third.get(), hello.data(), hello.size(), MSG_NOSIGNAL), 100);
  EXPECT_TRUE(Answers(first));
  kms->SetMaxConnections(0);
  const UniqueFd fifth = Connect(*kms);
  EXPECT_TRUE(Answers(fifth));
  kms.reset();  // until which the third heard nothing
  EXPECT_NE(End(third), "an answer");
  EXPECT_NE(End(fourth), "an answer");
}

}  // namespace
}  // namespace okms::test
