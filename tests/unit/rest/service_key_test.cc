// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "rest/service_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "rest/answer.h"
#include "support/status_is.h"
#include "unit/http/fake_http.h"

namespace okms::rest {
namespace {

using http::test::Response;
using okms::test::IsOk;
using okms::test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Code = absl::StatusCode;

constexpr char kOkms[] = "0123abcd-4567-89ef-0123-456789abcdef";
constexpr char kKey[] = "11111111-2222-3333-4444-555555555555";
constexpr char kKeysPath[] = "/api/0123abcd-4567-89ef-0123-456789abcdef/v1/servicekey";
// Header, encrypted key, IV, ciphertext and tag, in base64url.
constexpr char kJwe[] =
    "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7T.XFB";

std::string Text(const std::optional<WipedBytes>& body) {
  return body ? std::string(AsText(*body)) : "(none)";
}

// ---- Requests: those of the Go plugin, byte for byte, except for its "context":null

class RequestTest : public ::testing::Test {
 protected:
  const ServiceKeyApi api_{"https://kms", kOkms};
};

TEST_F(RequestTest, FirstPageOfTheList) {
  const http::HttpRequest request = api_.List("");
  EXPECT_EQ(request.path, absl::StrCat(kKeysPath, "?state=active"));
  EXPECT_EQ(request.body, std::nullopt);
}

TEST_F(RequestTest, NextPagesOfTheList) {
  const std::pair<std::string, std::string> cases[] = {
      {"t", "t"},
      {"abc+/= tok", "abc%2B%2F%3D+tok"},
      {"AZaz09-_.~", "AZaz09-_.~"},
      {"a&state=all#?", "a%26state%3Dall%23%3F"},
      {"%41", "%2541"},
      {"!*'()", "%21%2A%27%28%29"},
      {"\xc3\xa9", "%C3%A9"},
      {std::string("\0\r\n\x7f\xff", 5), "%00%0D%0A%7F%FF"},
  };
  for (const auto& [token, escaped] : cases) {
    const http::HttpRequest request = api_.List(token);
    EXPECT_EQ(request.path,
              absl::StrCat(kKeysPath, "?continuation-token=", escaped, "&state=active"));
    EXPECT_EQ(request.body, std::nullopt);
  }
}

TEST_F(RequestTest, Get) {
  const http::HttpRequest request = api_.Get(kKey);
  EXPECT_EQ(request.path, absl::StrCat(kKeysPath, "/", kKey));
  EXPECT_EQ(request.body, std::nullopt);
}

TEST_F(RequestTest, Encrypt) {
  const std::pair<std::string, std::string> cases[] = {
      {"", ""},
      {"0123456789abcdef0123456789abcdef", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="},
      {"abc", "YWJj"},
      {std::string("\xfb\xff\x00\n", 4), "+/8ACg=="},
  };
  for (const auto& [plaintext, encoded] : cases) {
    const http::HttpRequest request = api_.Encrypt(kKey, Secret(AsBytes(plaintext)));
    EXPECT_EQ(request.path, absl::StrCat(kKeysPath, "/", kKey, "/encrypt"));
    EXPECT_EQ(Text(request.body), absl::StrCat(R"({"plaintext":")", encoded, R"("})"));
  }
}

TEST_F(RequestTest, Decrypt) {
  const http::HttpRequest request = api_.Decrypt(kKey, kJwe);
  EXPECT_EQ(request.path, absl::StrCat(kKeysPath, "/", kKey, "/decrypt"));
  EXPECT_EQ(Text(request.body), absl::StrCat(R"({"ciphertext":")", kJwe, R"("})"));
}

TEST_F(RequestTest, OnlyEncryptAndDecryptCarrySecrets) {
  EXPECT_FALSE(api_.List("").secret);
  EXPECT_FALSE(api_.List("token").secret);
  EXPECT_FALSE(api_.Get(kKey).secret);
  EXPECT_TRUE(api_.Encrypt(kKey, Secret(AsBytes("abc"))).secret);
  EXPECT_TRUE(api_.Decrypt(kKey, kJwe).secret);
}

TEST_F(RequestTest, DecryptEscapesWhatJsonWants) {
  EXPECT_EQ(Text(api_.Decrypt(kKey, "a\"b\\c/d").body), R"({"ciphertext":"a\"b\\c/d"})");
}

// ---- Keys

Json GoodKey() {
  return {{"id", kKey},
          {"name", "etcd"},
          {"type", "oct"},
          {"size", 256},
          {"operations", {"encrypt", "decrypt"}},
          {"protectionLevel", "HSM"},
          {"attributes", {{"state", "active"}, {"other", 1}}},
          {"keys", nullptr}};
}
Json With(Json object, const std::string& field, Json value) {
  object[field] = std::move(value);
  return object;
}
Json Without(Json object, const std::string& field) {
  object.erase(field);
  return object;
}
absl::StatusOr<ServiceKey> ParseKey(const Json& key) {
  return ServiceKeyApi::ParseGet(Response(200, key.dump()));
}

TEST(ParseGet, ReadsAKey) {
  const auto key = ParseKey(GoodKey());
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->id, kKey);
  EXPECT_EQ(key->name, "etcd");
  EXPECT_EQ(key->type, "oct");
  EXPECT_EQ(key->state, "active");
  ASSERT_TRUE(key->operations.has_value());
  EXPECT_THAT(*key->operations, ElementsAre("encrypt", "decrypt"));
}

TEST(ParseGet, IdIsMadeCanonical) {
  for (const char* form :
       {"0123ABCD-4567-89EF-0123-456789ABCDEF", "urn:uuid:0123abcd-4567-89ef-0123-456789abcdef"}) {
    const auto key = ParseKey(With(GoodKey(), "id", form));
    ASSERT_THAT(key, IsOk());
    EXPECT_EQ(key->id, kOkms);
  }
}

TEST(ParseGet, OptionalFieldsMayBeAbsentOrNull) {
  for (const Json& object :
       {Without(Without(GoodKey(), "attributes"), "operations"),
        With(With(GoodKey(), "attributes", nullptr), "operations", nullptr),
        With(With(GoodKey(), "attributes", Json::object()), "operations", nullptr)}) {
    const auto key = ParseKey(object);
    ASSERT_THAT(key, IsOk()) << object;
    EXPECT_EQ(key->state, std::nullopt);
    EXPECT_EQ(key->operations, std::nullopt);
  }
  const auto key = ParseKey(With(GoodKey(), "operations", Json::array()));
  ASSERT_THAT(key, IsOk());
  ASSERT_TRUE(key->operations.has_value());
  EXPECT_THAT(*key->operations, IsEmpty());
}

TEST(ParseGet, FieldsThatAreMissingOrOfTheWrongType) {
  const std::pair<Json, const char*> cases[] = {
      {Without(GoodKey(), "id"), "\"id\" of a key is no text"},
      {With(GoodKey(), "id", nullptr), "\"id\" of a key is no text"},
      {With(GoodKey(), "id", 7), "\"id\" of a key is no text"},
      {With(GoodKey(), "id", ""), "\"id\" of a key is no UUID: "},
      {With(GoodKey(), "id", "a\nb"), "\"id\" of a key is no UUID: a?b"},
      {Without(GoodKey(), "name"), "\"name\" of a key is no text"},
      {With(GoodKey(), "name", nullptr), "\"name\" of a key is no text"},
      {With(GoodKey(), "name", Json::array({"etcd"})), "\"name\" of a key is no text"},
      {Without(GoodKey(), "type"), "\"type\" of a key is no text"},
      {With(GoodKey(), "type", nullptr), "\"type\" of a key is no text"},
      {With(GoodKey(), "type", true), "\"type\" of a key is no text"},
      {With(GoodKey(), "attributes", {{"state", nullptr}}), "\"state\" of a key is no text"},
      {With(GoodKey(), "attributes", {{"state", 2}}), "\"state\" of a key is no text"},
      {With(GoodKey(), "operations", "encrypt"), "\"operations\" of a key is no list"},
      {With(GoodKey(), "operations", Json::object()), "\"operations\" of a key is no list"},
      {With(GoodKey(), "operations", {"encrypt", 1}), "an operation of a key is no text"},
      {With(GoodKey(), "operations", {"encrypt", nullptr}), "an operation of a key is no text"},
  };
  for (const auto& [object, why] : cases) {
    EXPECT_THAT(ParseKey(object), StatusIs(Code::kDataLoss, absl::StrCat("REST get key: ", why)))
        << object;
  }
}

TEST(ParseGet, LongIdIsCutInTheMessage) {
  const auto key = ParseKey(With(GoodKey(), "id", std::string(100'000, 'a')));
  EXPECT_THAT(key, StatusIs(Code::kDataLoss, HasSubstr("... (100000 bytes)")));
  EXPECT_LT(key.status().message().size(), 200u);
}

TEST(ParseGet, NamesTheCallInErrors) {
  EXPECT_THAT(ServiceKeyApi::ParseGet(Response(404)),
              StatusIs(Code::kNotFound, "REST get key refused: HTTP 404 Not Found"));
  EXPECT_THAT(ServiceKeyApi::ParseGet(Response(400)),
              StatusIs(Code::kFailedPrecondition, "REST get key refused: HTTP 400 Bad Request"));
  EXPECT_THAT(ServiceKeyApi::ParseGet(Response(200)),
              StatusIs(Code::kDataLoss, "REST get key: HTTP 200 with an empty body"));
}

// ---- Lists

Json GoodList() {
  return {{"objects_list", {GoodKey(), With(GoodKey(), "id", kOkms)}},
          {"continuation_token", "next one"},
          {"is_truncated", true}};
}
absl::StatusOr<ServiceKeyPage> ParseKeys(const Json& list) {
  return ServiceKeyApi::ParseList(Response(200, list.dump()));
}

TEST(ParseList, ReadsAPageThatHasANext) {
  const auto page = ParseKeys(GoodList());
  ASSERT_THAT(page, IsOk());
  ASSERT_EQ(page->keys.size(), 2u);
  EXPECT_EQ(page->keys[0].id, kKey);
  EXPECT_EQ(page->keys[0].name, "etcd");
  EXPECT_EQ(page->keys[0].state, "active");
  EXPECT_EQ(page->keys[1].id, kOkms);
  EXPECT_EQ(page->next, "next one");
}

TEST(ParseList, LastPageHasNoNextWhateverItsTokenSays) {
  for (const Json& token : {Json(""), Json(nullptr), Json("next one"), Json(7)}) {
    const auto page =
        ParseKeys(With(With(GoodList(), "is_truncated", false), "continuation_token", token));
    ASSERT_THAT(page, IsOk()) << token;
    EXPECT_EQ(page->next, "") << token;
  }
  const auto page =
      ParseKeys(Without(With(GoodList(), "is_truncated", false), "continuation_token"));
  ASSERT_THAT(page, IsOk());
  EXPECT_EQ(page->next, "");
}

TEST(ParseList, EmptyPage) {
  const auto page =
      ParseKeys({{"objects_list", nullptr}, {"continuation_token", ""}, {"is_truncated", false}});
  ASSERT_THAT(page, IsOk());
  EXPECT_THAT(page->keys, IsEmpty());
  EXPECT_EQ(page->next, "");
}

TEST(ParseList, FieldsThatAreMissingOrOfTheWrongType) {
  constexpr char kNoWay[] = "there are more keys, but \"continuation_token\" does not lead to them";
  const std::pair<Json, const char*> cases[] = {
      {Without(GoodList(), "objects_list"), "\"objects_list\" is no list"},
      {With(GoodList(), "objects_list", Json::object()), "\"objects_list\" is no list"},
      {With(GoodList(), "objects_list", "keys"), "\"objects_list\" is no list"},
      {With(GoodList(), "objects_list", Json::array({1})), "a key is no JSON object"},
      {With(GoodList(), "objects_list", Json::array({nullptr})), "a key is no JSON object"},
      {With(GoodList(), "objects_list", Json::array({GoodKey(), Without(GoodKey(), "id")})),
       "\"id\" of a key is no text"},
      {With(GoodList(), "objects_list", Json::array({Without(GoodKey(), "name")})),
       "\"name\" of a key is no text"},
      {Without(GoodList(), "is_truncated"), "\"is_truncated\" is neither true nor false"},
      {With(GoodList(), "is_truncated", nullptr), "\"is_truncated\" is neither true nor false"},
      {With(GoodList(), "is_truncated", 1), "\"is_truncated\" is neither true nor false"},
      {With(GoodList(), "is_truncated", "true"), "\"is_truncated\" is neither true nor false"},
      {Without(GoodList(), "continuation_token"), kNoWay},
      {With(GoodList(), "continuation_token", nullptr), kNoWay},
      {With(GoodList(), "continuation_token", 7), kNoWay},
      {With(GoodList(), "continuation_token", ""), kNoWay},
      {With(GoodList(), "continuation_token", std::string(4097, 't')),
       "\"continuation_token\" has 4097 bytes, the limit is 4096"},
  };
  for (const auto& [object, why] : cases) {
    EXPECT_THAT(ParseKeys(object), StatusIs(Code::kDataLoss, absl::StrCat("REST list keys: ", why)))
        << object;
  }
  EXPECT_THAT(ServiceKeyApi::ParseList(Response(403)),
              StatusIs(Code::kPermissionDenied, "REST list keys refused: HTTP 403 Forbidden"));
}

// ---- Encrypt and Decrypt

class ParseCryptTest : public ::testing::Test {
 protected:
  const ServiceKeyApi api_{"https://kms", kOkms};
  const http::HttpRequest encrypt_ =
      api_.Encrypt(kKey, Secret(AsBytes("0123456789abcdef0123456789abcdef")));
  const http::HttpRequest decrypt_ = api_.Decrypt(kKey, kJwe);

  absl::StatusOr<std::string> Encrypted(absl::string_view body) const {
    return ServiceKeyApi::ParseEncrypt(Response(200, body), encrypt_);
  }
  absl::StatusOr<std::string> Decrypted(absl::string_view body) const {
    const auto secret = ServiceKeyApi::ParseDecrypt(Response(200, body), decrypt_);
    if (!secret.ok()) return secret.status();
    return std::string(AsText(secret->Reveal()));
  }
};

TEST_F(ParseCryptTest, CiphertextIsTakenAsItIs) {
  for (const std::string& text : {std::string(kJwe), std::string("x"), std::string(100'000, 'c')}) {
    const auto ciphertext = Encrypted(Json{{"ciphertext", text}, {"other", 1}}.dump());
    ASSERT_THAT(ciphertext, IsOk());
    EXPECT_EQ(*ciphertext, text);
  }
  EXPECT_EQ(*Encrypted(R"({"ciphertext":"a\"\\\/\u0041"})"), "a\"\\/A");
}

TEST_F(ParseCryptTest, CiphertextThatIsNone) {
  for (const char* body :
       {"{}", R"({"ciphertext":null})", R"({"ciphertext":1})", R"({"ciphertext":["x"]})",
        R"({"Ciphertext":"x"})", R"({"plaintext":"x"})"}) {
    EXPECT_THAT(Encrypted(body),
                StatusIs(Code::kDataLoss, "REST encrypt: the answer has no text in \"ciphertext\""))
        << body;
  }
  for (const char* body : {R"({"ciphertext":""})", R"({"ciphertext":"a b"})",
                           R"({"ciphertext":"a\n"})", R"({"ciphertext":"a\u0000"})",
                           R"({"ciphertext":"\u00e9"})", R"({"ciphertext":"\u007f"})"}) {
    EXPECT_THAT(Encrypted(body),
                StatusIs(Code::kDataLoss,
                         "REST encrypt: \"ciphertext\" is empty, or not printable ASCII as a JWE "
                         "is"))
        << body;
  }
}

TEST_F(ParseCryptTest, EncryptRefusals) {
  EXPECT_THAT(ServiceKeyApi::ParseEncrypt(Response(400), encrypt_),
              StatusIs(Code::kFailedPrecondition, "REST encrypt refused: HTTP 400 Bad Request"));
  EXPECT_THAT(ServiceKeyApi::ParseEncrypt(
                  Response(400, Json{{"errors", {AsText(*encrypt_.body)}}}.dump()), encrypt_),
              StatusIs(Code::kFailedPrecondition,
                       "REST encrypt refused: HTTP 400 Bad Request: (a text that repeats the "
                       "request)"));
}

TEST_F(ParseCryptTest, PlaintextIsDecoded) {
  const std::pair<const char*, std::string> cases[] = {
      {"", ""},
      {"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "0123456789abcdef0123456789abcdef"},
      {"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "0123456789abcdef0123456789abcdef"},
      {"YWJj", "abc"},
      {"+/8ACg==", std::string("\xfb\xff\x00\n", 4)},
      {"+/8ACg", std::string("\xfb\xff\x00\n", 4)},
  };
  for (const auto& [encoded, plaintext] : cases) {
    const auto decrypted = Decrypted(Json{{"plaintext", encoded}}.dump());
    ASSERT_THAT(decrypted, IsOk()) << encoded;
    EXPECT_EQ(*decrypted, plaintext) << encoded;
  }
}

TEST_F(ParseCryptTest, PlaintextThatIsNone) {
  for (const char* body : {"{}", R"({"plaintext":null})", R"({"plaintext":1})",
                           R"({"plaintext":{"a":"b"}})", R"({"ciphertext":"x"})"}) {
    EXPECT_THAT(Decrypted(body),
                StatusIs(Code::kDataLoss, "REST decrypt: the answer has no text in \"plaintext\""))
        << body;
  }
  for (const char* body :
       {R"({"plaintext":"Y"})", R"({"plaintext":"YW=Jj"})", R"({"plaintext":"YWJj===="})",
        R"({"plaintext":"-_8"})", R"({"plaintext":"YWJ\u00e9"})", R"({"plaintext":"secret!"})"}) {
    EXPECT_THAT(Decrypted(body),
                StatusIs(Code::kDataLoss, "REST decrypt: \"plaintext\" is no base64"))
        << body;
  }
}

TEST_F(ParseCryptTest, DecryptRefusals) {
  // The stored record is at fault, which another attempt does not mend.
  EXPECT_THAT(ServiceKeyApi::ParseDecrypt(Response(400), decrypt_),
              StatusIs(Code::kInvalidArgument, "REST decrypt refused: HTTP 400 Bad Request"));
  EXPECT_THAT(ServiceKeyApi::ParseDecrypt(Response(404), decrypt_),
              StatusIs(Code::kNotFound, "REST decrypt refused: HTTP 404 Not Found"));
  EXPECT_THAT(ServiceKeyApi::ParseDecrypt(Response(500), decrypt_),
              StatusIs(Code::kUnavailable, "REST decrypt refused: HTTP 500 Internal Server Error"));
  EXPECT_THAT(
      ServiceKeyApi::ParseDecrypt(Response(400, Json{{"errors", {kJwe}}}.dump()), decrypt_),
      StatusIs(Code::kInvalidArgument,
               "REST decrypt refused: HTTP 400 Bad Request: (a text that repeats the request)"));
}

TEST(IsPrintableAscii, EachByte) {
  EXPECT_FALSE(IsPrintableAscii(""));
  for (int c = 0; c < 256; ++c) {
    const std::string text = absl::StrCat("a", std::string(1, static_cast<char>(c)), "b");
    EXPECT_EQ(IsPrintableAscii(text), c > 0x20 && c < 0x7f) << c;
  }
}

}  // namespace
}  // namespace okms::rest
