// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The service as kube-apiserver uses it, with a KMS that works.

#include <sys/socket.h>

#include <optional>
#include <thread>
#include <vector>

#include "integration/http2.h"
#include "integration/plugin_test.h"
#include "integration/unix_socket.h"
#include "kms/v2/api.pb.h"
#include "mock_kms/aes_gcm.h"

namespace okms::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::SizeIs;

constexpr char kIv[] = "iv.okms.ovh.com";
constexpr char kAlgorithm[] = "alg.okms.ovh.com";

class RoundTripTest : public PluginTest {
 protected:
  RoundTripTest() {
    StartKms();
    StartReady();
  }
};

TEST_F(RoundTripTest, StatusIsVersion2AndOk) {
  const auto status = client().Status();
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->version, "v2");
  EXPECT_EQ(status->healthz, "ok");
  EXPECT_EQ(status->key_id, "key-1");
}

TEST_F(RoundTripTest, StatusAsksNothingOfTheKms) {
  const auto before = kms().handler().Counts();
  for (int i = 0; i < 20; ++i) ASSERT_THAT(client().Status(), IsOk());
  // A check of the plugin's own may fall into this time; it comes every 10 seconds.
  int asked = 0;
  for (const auto& [operation, count] : kms().handler().Counts()) asked += count;
  for (const auto& [operation, count] : before) asked -= count;
  EXPECT_LE(asked, 4);
}

TEST_F(RoundTripTest, TheRecordHasTheStoredFormat) {
  const auto record = client().Encrypt(NewPlaintext());
  ASSERT_THAT(record, IsOk());
  EXPECT_THAT(record->ciphertext, SizeIs(32 + 16));
  EXPECT_EQ(record->key_id, "key-1");
  EXPECT_THAT(record->annotations, ElementsAre(Pair(kAlgorithm, "AES_GCM"), Pair(kIv, SizeIs(12))));
}

TEST_F(RoundTripTest, TheCiphertextIsAesGcmUnderTheKeyOfTheKms) {
  const std::string plaintext = NewPlaintext();
  const auto record = client().Encrypt(plaintext);
  ASSERT_THAT(record, IsOk());
  const ByteView all = AsBytes(record->ciphertext);
  const auto opened = GcmDecrypt(AsBytes(key_.material), AsBytes(record->annotations.at(kIv)), {},
                                 all.first(32), all.last(16));
  ASSERT_TRUE(opened.has_value());
  EXPECT_TRUE(*opened == plaintext);
}

TEST_F(RoundTripTest, EncryptNeverGivesTheSameTwice) {
  const std::string plaintext = NewPlaintext();
  const auto one = client().Encrypt(plaintext);
  const auto two = client().Encrypt(plaintext);
  ASSERT_THAT(one, IsOk());
  ASSERT_THAT(two, IsOk());
  EXPECT_TRUE(one->ciphertext != two->ciphertext);
  EXPECT_TRUE(one->annotations.at(kIv) != two->annotations.at(kIv));
}

TEST_F(RoundTripTest, DecryptGivesThePlaintextBack) {
  for (const std::size_t size : {1U, 16U, 32U, 1008U}) {
    const std::string plaintext = NewPlaintext(size);
    const auto record = client().Encrypt(plaintext);
    ASSERT_THAT(record, IsOk()) << size;
    EXPECT_THAT(record->ciphertext, SizeIs(size + 16));
    const auto back = client().Decrypt(*record);
    ASSERT_THAT(back, IsOk()) << size;
    EXPECT_TRUE(*back == plaintext) << size;
  }
}

TEST_F(RoundTripTest, RefusesAPlaintextThatKubernetesCouldNotStore) {
  EXPECT_THAT(client().Encrypt(""), StatusIs(Code::kInvalidArgument, "the plaintext is empty"));
  EXPECT_THAT(client().Encrypt(NewPlaintext(1009)),
              StatusIs(Code::kInvalidArgument, "the plaintext has 1009 bytes; the limit is 1008"));
  ExpectRoundTrip();
}

TEST_F(RoundTripTest, AnyAuthority) {
  for (const std::string authority : {"localhost", "%2Frun%2Fkms.sock", "kms"}) {
    SCOPED_TRACE(authority);
    ExpectRoundTrip(*NewClient({.authority = authority}));
  }
}

// A Status call written by hand.
std::optional<v2::StatusResponse> RawStatus(const std::string& socket,
                                            const std::optional<std::string>& authority) {
  const UniqueFd connection = Must(ConnectUnix(socket));
  const Heard heard = Exchange(connection.get(), Http2Call("Status", authority, ""), Http2Ended);
  const std::optional<std::string> message = Http2Message(heard.bytes);
  v2::StatusResponse response;
  if (!message || !response.ParseFromString(*message)) return std::nullopt;
  return response;
}

TEST_F(RoundTripTest, AnAuthorityThatIsAPath) {
  // As grpc-go has sent it: the socket's path, as it is or escaped.
  for (const std::string authority : {"localhost", "/run/kms.sock", "%2Frun%2Fkms.sock", "@kms"}) {
    const auto response = RawStatus(socket(), authority);
    ASSERT_TRUE(response.has_value()) << authority;
    EXPECT_EQ(response->healthz(), "ok") << authority;
    EXPECT_EQ(response->key_id(), "key-1") << authority;
  }
}

TEST_F(RoundTripTest, ARequestWithoutAuthorityHarmsNobody) {
  // gRPC's server wants the header, and kube-apiserver has always sent one.
  EXPECT_FALSE(RawStatus(socket(), std::nullopt).has_value());
  ExpectRoundTrip();
}

TEST_F(RoundTripTest, ManyConnectionsAtOnce) {
  constexpr int kClients = 16;
  std::vector<std::unique_ptr<KmsClient>> clients;
  std::vector<std::string> plaintexts;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(NewClient());
    plaintexts.push_back(NewPlaintext());
  }
  std::vector<std::string> backs(kClients);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kClients; ++i) {
    threads.emplace_back([&, i] {
      const auto record = clients[i]->Encrypt(plaintexts[i]);
      if (!record.ok()) return;
      const auto back = clients[i]->Decrypt(*record);
      if (back.ok()) backs[i] = *back;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < kClients; ++i) EXPECT_TRUE(backs[i] == plaintexts[i]) << i;
}

TEST_F(RoundTripTest, ARequestOverTheSizeLimitHarmsNobody) {
  EXPECT_THAT(client().Encrypt(std::string(200'000, 'x')),
              StatusIs(Code::kResourceExhausted, HasSubstr("larger than max")));
  ExpectRoundTrip();
}

TEST_F(RoundTripTest, GarbageOnOneConnectionHarmsNoOther) {
  ExpectRoundTrip();
  std::vector<UniqueFd> silent;  // connections that stay open and say nothing, or half of a call
  silent.reserve(9);
  for (int i = 0; i < 8; ++i) silent.push_back(Must(ConnectUnix(socket())));
  const std::string half = Http2Call("Status", "localhost", "").substr(0, 60);
  silent.push_back(Must(ConnectUnix(socket())));
  ASSERT_EQ(::send(silent.back().get(), half.data(), half.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(half.size()));

  for (const std::string& garbage :
       {std::string("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), std::string(100'000, '\xff'),
        std::string(100'000, '\0'),
        // A frame of 16 MB after the preface.
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x04\x00\x00\x00\x00\x00", 33),
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + std::string(507, 'x')}) {
    const UniqueFd connection = Must(ConnectUnix(socket()));
    const Heard heard = Exchange(connection.get(), garbage, Http2Ended);
    EXPECT_TRUE(heard.closed || Http2Ended(heard.bytes));
    ExpectRoundTrip();
  }
  ExpectRoundTrip(*NewClient());
}

// A field of a protobuf message: bytes, or text.
std::string Field(int number, const std::string& bytes) {
  return absl::StrCat(std::string(1, static_cast<char>(number << 3 | 2)),
                      std::string(1, static_cast<char>(bytes.size())), bytes);
}

TEST_F(RoundTripTest, TextThatIsNoUtf8IsNamed) {
  const std::string bad = "a\xFF";
  const struct {
    std::string method;
    std::string message;
    std::string answer;
  } cases[] = {
      {"Encrypt", Field(1, "plain") + Field(2, bad), "the uid is no UTF-8"},
      {"Decrypt", Field(1, "cipher") + Field(2, bad), "the uid is no UTF-8"},
      {"Decrypt", Field(1, "cipher") + Field(3, bad), "the key id is no UTF-8"},
      {"Decrypt", Field(1, "cipher") + Field(3, "k") + Field(4, Field(1, bad) + Field(2, "v")),
       "the name of an annotation is no UTF-8"},
      {"Encrypt", "\xFF\xFF", "the request is no message of KMS v2"},
      {"Decrypt", "\x0A\x7F", "the request is no message of KMS v2"},
  };
  for (const auto& [method, message, answer] : cases) {
    const UniqueFd connection = Must(ConnectUnix(socket()));
    const Heard heard =
        Exchange(connection.get(), Http2Call(method, "localhost", message), Http2Ended);
    EXPECT_THAT(heard.bytes, HasSubstr(answer)) << method;
    EXPECT_THAT(heard.bytes, HasSubstr(std::string("\x0Bgrpc-status\x01") + "3")) << method;
    EXPECT_TRUE(plugin().WaitForLine(answer));
  }
  EXPECT_THAT(plugin().Err(), Not(HasSubstr("libprotobuf")));
  ExpectRoundTrip();
}

constexpr char kUnimplemented[] =
    "\x0Bgrpc-status\x02"
    "12";

TEST_F(RoundTripTest, AnUnknownMethodHarmsNobody) {
  for (const char* const method : {"Get", "/other.Service/Get", "/"}) {
    const UniqueFd connection = Must(ConnectUnix(socket()));
    const Heard heard = Exchange(connection.get(), Http2Call(method, "localhost", ""), Http2Ended);
    EXPECT_FALSE(Http2Message(heard.bytes).has_value());
    EXPECT_THAT(heard.bytes, HasSubstr(kUnimplemented));
    EXPECT_THAT(heard.bytes, HasSubstr("KMS v2 has no such method"));
  }
  ExpectRoundTrip();
}

// What kube-apiserver calls when apiVersion: is missing, or was copied from an old page.
TEST_F(RoundTripTest, AnOlderVersionIsToldWhatToSet) {
  for (const char* const method :
       {"/v1beta1.KeyManagementService/Version", "/v1beta1.KeyManagementService/Encrypt",
        "/v1.KeyManagementService/Version", "/v2alpha1.KeyManagementService/Status"}) {
    const UniqueFd connection = Must(ConnectUnix(socket()));
    const Heard heard = Exchange(connection.get(), Http2Call(method, "localhost", "x"), Http2Ended);
    EXPECT_THAT(heard.bytes, HasSubstr(kUnimplemented)) << method;
    EXPECT_THAT(heard.bytes, HasSubstr("set apiVersion: v2 for it in kube-apiserver's "
                                       "EncryptionConfiguration"))
        << method;
  }
  ASSERT_TRUE(plugin().WaitForLine(
      "error: refused the call /v1beta1.KeyManagementService/Version: this plugin serves KMS v2; "
      "set apiVersion: v2 for it in kube-apiserver's EncryptionConfiguration"));
  EXPECT_EQ(StopPlugin(), 0);
  StartReady();
  ExpectRoundTrip();
}

class RoundTripByLabelTest : public PluginTest {};

TEST_F(RoundTripByLabelTest, AKeyIdThatIsNoUtf8IsNotAnswered) {
  key_.id = "key-\xFF";
  StartKms();
  UseLabel("kek");
  StartPlugin();
  const std::string message = "the key id \"key-?\" is no UTF-8; use another key";
  ASSERT_TRUE(plugin().WaitForLine("not ready: "));
  EXPECT_THAT(client().Status(), StatusIs(Code::kFailedPrecondition, message));
  EXPECT_THAT(client().Encrypt(NewPlaintext()), StatusIs(Code::kFailedPrecondition, message));
}

TEST_F(RoundTripByLabelTest, TheKeyIdIsTheOneThatWasFound) {
  UseLabel("kek");
  StartKms();
  StartReady();
  const auto status = client().Status();
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->key_id, "key-1");
  const std::string plaintext = NewPlaintext();
  const auto record = client().Encrypt(plaintext);
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(record->key_id, "key-1");
  const auto back = client().Decrypt(*record);
  ASSERT_THAT(back, IsOk());
  EXPECT_TRUE(*back == plaintext);
}

class RoundTripKeySizeTest : public PluginTest, public testing::WithParamInterface<int> {};

TEST_P(RoundTripKeySizeTest, Works) {
  key_ = Must(ParseMockKey(absl::StrCat("id=key-1,bits=", GetParam())));
  StartKms();
  StartReady();
  ExpectRoundTrip();
}

INSTANTIATE_TEST_SUITE_P(Bits, RoundTripKeySizeTest, testing::Values(128, 192),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace okms::test
