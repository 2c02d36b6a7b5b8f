// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "rest/rest_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "rest/answer.h"
#include "support/status_is.h"
#include "unit/await.h"
#include "unit/rest/fake_http.h"

namespace okms::rest {
namespace {

using namespace std::chrono_literals;
using okms::test::Await;
using okms::test::IsOk;
using okms::test::StatusIs;
using test::FakeHttp;
using test::FakeHttpClient;
using test::Response;
using test::Sent;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Code = absl::StatusCode;

constexpr char kOkms[] = "0123abcd-4567-89ef-0123-456789abcdef";
constexpr char kKey[] = "aaaaaaaa-2222-3333-4444-555555555555";
constexpr char kUpperKey[] = "AAAAAAAA-2222-3333-4444-555555555555";
constexpr char kOtherKey[] = "bbbbbbbb-2222-3333-4444-555555555555";
const std::string kKeysUrl = absl::StrCat("https://kms/api/", kOkms, "/v1/servicekey");
const std::string kFirstPage = kKeysUrl + "?state=active";
const std::string kKeyUrl = absl::StrCat(kKeysUrl, "/", kKey);
constexpr char kJwe[] = "eyJhbGciOiJkaXIifQ..48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7T.XFB";

std::string NextPage(absl::string_view token) {
  return absl::StrCat(kKeysUrl, "?continuation-token=", token, "&state=active");
}

Json Key(absl::string_view id = kKey, absl::string_view name = "etcd") {
  return {{"id", id},
          {"name", name},
          {"type", "oct"},
          {"operations", {"encrypt", "decrypt"}},
          {"attributes", {{"state", "active"}}}};
}
Json With(Json object, const std::string& field, Json value) {
  object[field] = std::move(value);
  return object;
}
Json Without(Json object, const std::string& field) {
  object.erase(field);
  return object;
}
Json Page(Json keys, absl::string_view next = "") {
  return {{"objects_list", std::move(keys)},
          {"continuation_token", next},
          {"is_truncated", !next.empty()}};
}
HttpResponse Ok(const Json& body) { return Response(200, body.dump()); }

class RestBackendTest : public ::testing::Test {
 protected:
  RestBackendTest() {
    http_.handler = [this](const Sent& sent) -> absl::StatusOr<HttpResponse> {
      EXPECT_EQ(sent.deadline, deadline_);
      EXPECT_EQ(sent.earliest, Clock::time_point());
      const auto found = answers_.find(sent.url);
      if (found != answers_.end()) return found->second;
      ADD_FAILURE() << "nobody expects " << sent.url;
      return absl::InternalError("not in the script");
    };
  }
  RestBackend& backend() {
    if (backend_ == nullptr) {
      backend_ = std::make_unique<RestBackend>(std::make_unique<FakeHttpClient>(http_),
                                               ServiceKeyApi("https://kms", kOkms), key_);
    }
    return *backend_;
  }
  // One that knows nothing of what was found before.
  void NewBackend() { backend_.reset(); }
  absl::StatusOr<KeyInfo> FindKey() {
    return Await<KeyInfo>([&](auto done) { backend().FindKey(deadline_, std::move(done)); });
  }
  absl::StatusOr<Ciphertext> Encrypt(const std::string& key_id, absl::string_view plaintext) {
    return Await<Ciphertext>([&](auto done) {
      backend().Encrypt(key_id, Secret(AsBytes(plaintext)), deadline_, std::move(done));
    });
  }
  absl::StatusOr<std::string> Decrypt(const std::string& key_id, Ciphertext record) {
    const auto secret = Await<Secret>([&](auto done) {
      backend().Decrypt(key_id, std::move(record), deadline_, std::move(done));
    });
    if (!secret.ok()) return secret.status();
    return std::string(AsText(secret->Reveal()));
  }

  const Deadline deadline_ = Clock::now() + 1h;
  FakeHttp http_;
  // Set before the first call.
  KeyName key_ = KeyId{kKey};
  std::map<std::string, absl::StatusOr<HttpResponse>> answers_;

 private:
  std::unique_ptr<RestBackend> backend_;
};

// ---- FindKey by the id

TEST_F(RestBackendTest, KeyById) {
  answers_ = {{kKeyUrl, Ok(Key())}};
  const auto key = FindKey();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->id, kKey);
  EXPECT_TRUE(key->attributes_verified);
  EXPECT_THAT(http_.urls(), ElementsAre(kKeyUrl));
  EXPECT_EQ(http_.sent[0].body, std::nullopt);
}

// The id of the stored records is the configured text; the URL has the canonical form.
TEST_F(RestBackendTest, KeyByIdInAnyFormIsShownAsItIsConfigured) {
  for (const std::string& form :
       {std::string(kUpperKey), absl::StrCat("urn:uuid:", kKey), absl::StrCat("{", kUpperKey, "}"),
        std::string("AAAAAAAA222233334444555555555555")}) {
    FakeHttp http;
    http.handler = [](const Sent&) { return Ok(Key(kUpperKey)); };
    RestBackend backend(std::make_unique<FakeHttpClient>(http), ServiceKeyApi("https://kms", kOkms),
                        KeyId{form});
    const auto key =
        Await<KeyInfo>([&](auto done) { backend.FindKey(deadline_, std::move(done)); });
    ASSERT_THAT(key, IsOk()) << form;
    EXPECT_EQ(key->id, form);
    EXPECT_TRUE(key->attributes_verified);
    EXPECT_THAT(http.urls(), ElementsAre(kKeyUrl));
  }
}

TEST_F(RestBackendTest, KeyIdThatIsNoUuid) {
  key_ = KeyId{"etcd"};
  EXPECT_THAT(FindKey(), StatusIs(Code::kFailedPrecondition, "the key id is no UUID"));
  EXPECT_THAT(Encrypt("etcd", "x"), StatusIs(Code::kFailedPrecondition, "the key id is no UUID"));
  EXPECT_THAT(http_.sent, IsEmpty());
}

struct UnfitKey {
  const char* name;
  Json key;
  Code code;
  std::string message;
};

void PrintTo(const UnfitKey& key, std::ostream* out) { *out << key.name; }

class UnfitKeyTest : public RestBackendTest, public ::testing::WithParamInterface<UnfitKey> {};

std::vector<UnfitKey> UnfitKeys() {
  const std::string key = absl::StrCat("key ", kKey, " ");
  const auto state = [](const char* name) { return With(Key(), "attributes", {{"state", name}}); };
  return {
      {"Rsa", With(Key(), "type", "RSA"), Code::kFailedPrecondition,
       key + "is no symmetric key (type RSA, not oct)"},
      {"TypeInAnotherCase", With(Key(), "type", "OCT\n"), Code::kFailedPrecondition,
       key + "is no symmetric key (type OCT?, not oct)"},
      {"PreActive", state("pre_active"), Code::kFailedPrecondition,
       key + "is in state pre_active, not active"},
      {"Deactivated", state("deactivated"), Code::kFailedPrecondition,
       key + "is in state deactivated, not active"},
      {"Compromised", state("compromised"), Code::kFailedPrecondition,
       key + "is in state compromised, not active"},
      {"EmptyState", state(""), Code::kFailedPrecondition, key + "is in state , not active"},
      {"LongState", state(std::string(100, 's').c_str()), Code::kFailedPrecondition,
       key + "is in state " + std::string(40, 's') + "... (100 bytes), not active"},
      {"NoOperations", With(Key(), "operations", Json::array()), Code::kFailedPrecondition,
       key + "may not encrypt (its operations: )"},
      {"EncryptOnly", With(Key(), "operations", Json::array({"encrypt", "sign"})),
       Code::kFailedPrecondition, key + "may not decrypt (its operations: encrypt, sign)"},
      {"DecryptOnly", With(Key(), "operations", Json::array({"decrypt"})),
       Code::kFailedPrecondition, key + "may not encrypt (its operations: decrypt)"},
      {"WrapOnly", With(Key(), "operations", Json::array({"wrapKey", "unwrapKey"})),
       Code::kFailedPrecondition, key + "may not encrypt (its operations: wrapKey, unwrapKey)"},
      {"AnotherKey", Key(kOtherKey), Code::kDataLoss,
       absl::StrCat("REST get key: the answer is about key ", kOtherKey, ", not ", kKey)},
      {"NoType", Without(Key(), "type"), Code::kDataLoss,
       "REST get key: \"type\" of a key is no text"},
  };
}

INSTANTIATE_TEST_SUITE_P(, UnfitKeyTest, ::testing::ValuesIn(UnfitKeys()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(UnfitKeyTest, IsRefusedById) {
  answers_ = {{kKeyUrl, Ok(GetParam().key)}};
  EXPECT_THAT(FindKey(), StatusIs(GetParam().code, GetParam().message));
}

TEST_P(UnfitKeyTest, IsRefusedByLabel) {
  key_ = KeyLabel{"etcd"};
  answers_ = {{kFirstPage, Ok(Page({Key()}))}, {kKeyUrl, Ok(GetParam().key)}};
  EXPECT_THAT(FindKey(), StatusIs(GetParam().code, GetParam().message));
}

TEST_F(RestBackendTest, KeyWithoutAStateIsNotVerified) {
  answers_ = {{kKeyUrl, Ok(Without(Key(), "attributes"))}};
  const auto key = FindKey();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->id, kKey);
  EXPECT_FALSE(key->attributes_verified);
}

TEST_F(RestBackendTest, KeyWithoutOperationsIsTaken) {
  answers_ = {{kKeyUrl, Ok(Without(Key(), "operations"))}};
  ASSERT_THAT(FindKey(), IsOk());
}

// It may still encrypt and decrypt.
TEST_F(RestBackendTest, KeyThatMayNotBeSeenIsNotVerified) {
  key_ = KeyId{kUpperKey};
  answers_ = {{kKeyUrl, Response(403)}};
  const auto key = FindKey();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->id, kUpperKey);
  EXPECT_FALSE(key->attributes_verified);
}

TEST_F(RestBackendTest, KeyThatIsNotThere) {
  answers_ = {{kKeyUrl, Response(404)}};
  EXPECT_THAT(FindKey(), StatusIs(Code::kNotFound, "REST get key refused: HTTP 404 Not Found"));
}

TEST_F(RestBackendTest, ErrorsOfFindKeyArePassedOn) {
  const std::pair<absl::StatusOr<HttpResponse>, absl::Status> cases[] = {
      {absl::UnavailableError("reset"), absl::UnavailableError("reset")},
      {absl::DeadlineExceededError("late"), absl::DeadlineExceededError("late")},
      {absl::UnauthenticatedError("who"), absl::UnauthenticatedError("who")},
      {absl::ResourceExhaustedError("full"), absl::ResourceExhaustedError("full")},
      // Of the transport, not of the KMS: nothing was refused.
      {absl::DataLossError("large"), absl::DataLossError("large")},
      {Response(401), absl::UnauthenticatedError("REST get key refused: HTTP 401 Unauthorized")},
      {Response(503), absl::UnavailableError("REST get key refused: HTTP 503 Service Unavailable")},
      {Response(400), absl::FailedPreconditionError("REST get key refused: HTTP 400 Bad Request")},
      {Response(200, "{"), absl::DataLossError("REST get key: the answer is no valid JSON")},
  };
  for (const auto& [answer, error] : cases) {
    answers_.insert_or_assign(kKeyUrl, answer);
    EXPECT_THAT(FindKey(), StatusIs(error.code(), std::string(error.message())));
  }
}

// ---- FindKey by the label

class LabelTest : public RestBackendTest {
 protected:
  LabelTest() { key_ = KeyLabel{"etcd"}; }
};

TEST_F(LabelTest, KeyOnTheOnlyPage) {
  answers_ = {{kFirstPage, Ok(Page({Key(kOtherKey, "etcd2"), Key(kUpperKey)}))},
              {kKeyUrl, Ok(Key(kUpperKey))}};
  const auto key = FindKey();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->id, kKey);  // in lower case, as the Go plugin writes it
  EXPECT_TRUE(key->attributes_verified);
  EXPECT_THAT(http_.urls(), ElementsAre(kFirstPage, kKeyUrl));
}

TEST_F(LabelTest, EveryPageIsRead) {
  answers_ = {{kFirstPage, Ok(Page(Json::array(), "a b"))},
              {NextPage("a+b"), Ok(Page({Key()}, "c"))},
              {NextPage("c"), Ok(Page({Key(kOtherKey, "other")}))},
              {kKeyUrl, Ok(Key())}};
  const auto key = FindKey();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->id, kKey);
  EXPECT_THAT(http_.urls(), ElementsAre(kFirstPage, NextPage("a+b"), NextPage("c"), kKeyUrl));
}

// The list is not walked at every call: the key itself tells whether it still has the label.
TEST_F(LabelTest, KeyThatWasFoundIsAskedFirst) {
  answers_ = {{kFirstPage, Ok(Page({Key(kUpperKey)}))}, {kKeyUrl, Ok(Key())}};
  ASSERT_THAT(FindKey(), IsOk());
  answers_.erase(kFirstPage);
  http_.sent.clear();
  for (int i = 0; i < 2; ++i) {
    const auto key = FindKey();
    ASSERT_THAT(key, IsOk());
    EXPECT_EQ(key->id, kKey);
    EXPECT_TRUE(key->attributes_verified);
  }
  EXPECT_THAT(http_.urls(), ElementsAre(kKeyUrl, kKeyUrl));
}

TEST_F(LabelTest, ListIsReadAgainWhenThatKeyMayNotBeTheOneAnyMore) {
  const std::string other_url = absl::StrCat(kKeysUrl, "/", kOtherKey);
  for (const auto& [name, answer] : std::map<std::string, HttpResponse>{
           {"renamed", Ok(Key(kKey, "old"))},
           {"gone", Response(404)},
           {"deactivated", Ok(With(Key(), "attributes", {{"state", "deactivated"}}))},
           {"hidden", Response(403)},
           {"without a state", Ok(Without(Key(), "attributes"))}}) {
    NewBackend();
    answers_ = {{kFirstPage, Ok(Page({Key()}))}, {kKeyUrl, Ok(Key())}};
    ASSERT_THAT(FindKey(), IsOk());
    answers_ = {{kKeyUrl, answer},
                {kFirstPage, Ok(Page({Key(kOtherKey)}))},
                {other_url, Ok(Key(kOtherKey))}};
    http_.sent.clear();
    const auto key = FindKey();
    ASSERT_THAT(key, IsOk()) << name;
    EXPECT_EQ(key->id, kOtherKey) << name;
    EXPECT_THAT(http_.urls(), ElementsAre(kKeyUrl, kFirstPage, other_url)) << name;
    // From now on it is the other one.
    http_.sent.clear();
    ASSERT_THAT(FindKey(), IsOk()) << name;
    EXPECT_THAT(http_.urls(), ElementsAre(other_url)) << name;
  }
}

TEST_F(LabelTest, OtherErrorsOfThatKeyArePassedOn) {
  answers_ = {{kFirstPage, Ok(Page({Key()}))}, {kKeyUrl, Ok(Key())}};
  ASSERT_THAT(FindKey(), IsOk());
  answers_ = {{kKeyUrl, absl::UnavailableError("reset")}};
  EXPECT_THAT(FindKey(), StatusIs(Code::kUnavailable, "reset"));
}

TEST_F(LabelTest, KeyIsRenamedBetweenTheListAndItsCheck) {
  answers_ = {{kFirstPage, Ok(Page({Key()}))}, {kKeyUrl, Ok(Key(kKey, "o\nld"))}};
  EXPECT_THAT(FindKey(),
              StatusIs(Code::kFailedPrecondition,
                       absl::StrCat("key ", kKey, " has the label \"o?ld\" now, not \"etcd\"")));
}

TEST_F(LabelTest, FitsExactly) {
  for (const char* name : {"ETCD", "etcd ", " etcd", "etc", "etcd2", ""}) {
    answers_.insert_or_assign(kFirstPage, Ok(Page({Key(kKey, name)})));
    EXPECT_THAT(FindKey(), StatusIs(Code::kNotFound,
                                    "no active key has the label \"etcd\", or this client may not "
                                    "see it"))
        << name;
  }
}

TEST_F(LabelTest, LabelIsMadePrintableInMessages) {
  key_ = KeyLabel{"my\nkey"};
  answers_ = {{kFirstPage, Ok(Page(Json::array()))}};
  EXPECT_THAT(FindKey(), StatusIs(Code::kNotFound, HasSubstr("label \"my?key\", or")));
}

TEST_F(LabelTest, TwoOnOnePage) {
  answers_ = {{kFirstPage, Ok(Page({Key(), Key(kOtherKey)}))}};
  EXPECT_THAT(
      FindKey(),
      StatusIs(Code::kFailedPrecondition,
               absl::StrCat("the label \"etcd\" fits 2 active keys (", kKey, ", ", kOtherKey,
                            "); rename all but one, or name the key by its id")));
  EXPECT_THAT(http_.urls(), ElementsAre(kFirstPage));
}

TEST_F(LabelTest, TwoOnTwoPages) {
  answers_ = {{kFirstPage, Ok(Page({Key()}, "t"))}, {NextPage("t"), Ok(Page({Key(kOtherKey)}))}};
  EXPECT_THAT(
      FindKey(),
      StatusIs(Code::kFailedPrecondition,
               HasSubstr(absl::StrCat("fits 2 active keys (", kKey, ", ", kOtherKey, ");"))));
}

TEST_F(LabelTest, ManyAreNotAllNamed) {
  Json keys = Json::array();
  for (int i = 0; i < 100; ++i) {
    keys.push_back(
        Key(absl::StrCat("cccccccc-2222-3333-4444-5555555555", absl::Dec(i, absl::kZeroPad2))));
  }
  answers_ = {{kFirstPage, Ok(Page(keys))}};
  EXPECT_THAT(FindKey(), StatusIs(Code::kFailedPrecondition,
                                  HasSubstr("555555555507, ...); rename all but one")));
  EXPECT_THAT(FindKey(), StatusIs(Code::kFailedPrecondition, HasSubstr("fits 100 active keys (")));
}

// A server that ignores state=active must not make two of one.
TEST_F(LabelTest, KeysThatAreNotActiveDoNotCount) {
  Json deactivated = With(Key(kOtherKey), "attributes", {{"state", "deactivated"}});
  answers_ = {{kFirstPage, Ok(Page({deactivated, Key()}))}, {kKeyUrl, Ok(Key())}};
  const auto key = FindKey();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->id, kKey);
  NewBackend();
  answers_.insert_or_assign(kFirstPage, Ok(Page({deactivated})));
  EXPECT_THAT(FindKey(), StatusIs(Code::kNotFound, ::testing::_));
}

TEST_F(LabelTest, KeysWithoutAStateCount) {
  answers_ = {{kFirstPage, Ok(Page({Without(Key(), "attributes")}))}, {kKeyUrl, Ok(Key())}};
  ASSERT_THAT(FindKey(), IsOk());
  NewBackend();
  answers_.insert_or_assign(kFirstPage, Ok(Page({Without(Key(), "attributes"), Key(kOtherKey)})));
  EXPECT_THAT(FindKey(), StatusIs(Code::kFailedPrecondition, HasSubstr("fits 2 active keys")));
}

TEST_F(LabelTest, RepeatingTokenEndsTheSearch) {
  answers_ = {{kFirstPage, Ok(Page({Key()}, "t"))}, {NextPage("t"), Ok(Page(Json::array(), "t"))}};
  EXPECT_THAT(FindKey(),
              StatusIs(Code::kDataLoss,
                       "REST list keys: the list does not end (after page 2); name the key by its "
                       "id"));
  EXPECT_THAT(http_.sent, SizeIs(2));
}

TEST_F(LabelTest, RingOfTokensEndsTheSearch) {
  answers_ = {{kFirstPage, Ok(Page(Json::array(), "a"))},
              {NextPage("a"), Ok(Page(Json::array(), "b"))},
              {NextPage("b"), Ok(Page(Json::array(), "a"))}};
  EXPECT_THAT(FindKey(), StatusIs(Code::kDataLoss,
                                  "REST list keys: the list does not end (after page 3); name the "
                                  "key by its id"));
  EXPECT_THAT(http_.sent, SizeIs(3));
}

TEST_F(LabelTest, EverNewTokensEndTheSearch) {
  http_.handler = [this](const Sent&) {
    return Ok(Page(Json::array(), absl::StrCat("t", http_.sent.size())));
  };
  EXPECT_THAT(FindKey(), StatusIs(Code::kDataLoss,
                                  "REST list keys: the list does not end (after page 1000); name "
                                  "the key by its id"));
  EXPECT_THAT(http_.sent, SizeIs(1000));
}

TEST_F(LabelTest, ErrorsOfTheListArePassedOn) {
  const std::pair<absl::StatusOr<HttpResponse>, absl::Status> cases[] = {
      {absl::UnavailableError("reset"), absl::UnavailableError("reset")},
      {Response(403), absl::PermissionDeniedError("REST list keys refused: HTTP 403 Forbidden")},
      {Response(404), absl::NotFoundError("REST list keys refused: HTTP 404 Not Found")},
      {Response(200, "[]"), absl::DataLossError("REST list keys: the answer is JSON, but no "
                                                "object")},
  };
  for (const auto& [answer, error] : cases) {
    answers_.insert_or_assign(kFirstPage, answer);
    EXPECT_THAT(FindKey(), StatusIs(error.code(), std::string(error.message())));
    answers_.insert_or_assign(NextPage("t"), answer);
    answers_.insert_or_assign(kFirstPage, Ok(Page({Key()}, "t")));
    EXPECT_THAT(FindKey(), StatusIs(error.code(), std::string(error.message())));
  }
}

TEST_F(LabelTest, KeyThatMayBeListedButNotSeenIsNotVerified) {
  answers_ = {{kFirstPage, Ok(Page({Key()}))}, {kKeyUrl, Response(403)}};
  const auto key = FindKey();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->id, kKey);
  EXPECT_FALSE(key->attributes_verified);
}

// ---- Encrypt and Decrypt

const std::string kEncryptUrl = kKeyUrl + "/encrypt";
const std::string kDecryptUrl = kKeyUrl + "/decrypt";
constexpr char kPlaintext[] = "0123456789abcdef0123456789abcdef";
constexpr char kPlaintextInBase64[] = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

TEST_F(RestBackendTest, EncryptGivesTheCiphertextAsItIsAndNoAnnotations) {
  answers_ = {{kEncryptUrl, Ok({{"ciphertext", kJwe}})}};
  for (const char* id : {kKey, kUpperKey}) {
    const auto record = Encrypt(id, kPlaintext);
    ASSERT_THAT(record, IsOk());
    EXPECT_EQ(record->bytes, kJwe);
    EXPECT_THAT(record->annotations, IsEmpty());
    EXPECT_EQ(http_.sent.back().body,
              absl::StrCat(R"({"plaintext":")", kPlaintextInBase64, R"("})"));
  }
}

TEST_F(RestBackendTest, DecryptGivesThePlaintext) {
  answers_ = {{kDecryptUrl, Ok({{"plaintext", kPlaintextInBase64}})}};
  const auto plaintext = Decrypt(kKey, {kJwe, {}});
  ASSERT_THAT(plaintext, IsOk());
  EXPECT_EQ(*plaintext, kPlaintext);
}

// A record of the Go plugin: the configured id as it was written, the JWE, and nothing else. What
// goes out is what that plugin sends, except for its "context":null.
TEST_F(RestBackendTest, InterchangeWithRecordsOfTheGoPlugin) {
  answers_ = {{kDecryptUrl, Ok({{"plaintext", kPlaintextInBase64}})}};
  for (const std::string& id :
       {std::string(kKey), std::string(kUpperKey), absl::StrCat("urn:uuid:", kKey),
        absl::StrCat("{", kKey, "}"), std::string("aaaaaaaa222233334444555555555555")}) {
    const auto plaintext = Decrypt(id, {kJwe, {}});
    ASSERT_THAT(plaintext, IsOk()) << id;
    EXPECT_EQ(*plaintext, kPlaintext);
    EXPECT_EQ(http_.sent.back().url, kDecryptUrl);
    EXPECT_EQ(http_.sent.back().body, absl::StrCat(R"({"ciphertext":")", kJwe, R"("})"));
  }
}

// Records of a key that is not the configured one any more.
TEST_F(RestBackendTest, DecryptUsesTheKeyOfTheRecord) {
  const std::string url = absl::StrCat(kKeysUrl, "/", kOtherKey, "/decrypt");
  answers_ = {{url, Ok({{"plaintext", kPlaintextInBase64}})}};
  EXPECT_THAT(Decrypt(kOtherKey, {kJwe, {}}), IsOk());
  EXPECT_THAT(http_.urls(), ElementsAre(url));
}

TEST_F(RestBackendTest, RecordsThatCannotBeOfThisProtocolAreRefusedWithoutTheKms) {
  const struct {
    const char* key_id;
    Ciphertext record;
    const char* message;
  } cases[] = {
      {kKey,
       {kJwe, {{"iv.okms.ovh.com", "x"}}},
       "annotation \"iv.okms.ovh.com\": a record of the REST protocol has none; if it was written "
       "over KMIP, use --protocol kmip"},
      {kKey,
       {kJwe, {{"a\nb", ""}}},
       "annotation \"a?b\": a record of the REST protocol has none; if it was written over KMIP, "
       "use --protocol kmip"},
      {kKey, {"", {}}, "the ciphertext is not printable ASCII, as a JWE of the REST protocol is"},
      {kKey,
       {"a\xc3\xa9", {}},
       "the ciphertext is not printable ASCII, as a JWE of the REST protocol is"},
      {kKey,
       {"a b", {}},
       "the ciphertext is not printable ASCII, as a JWE of the REST protocol is"},
      {kKey,
       {std::string("a\0b", 3), {}},
       "the ciphertext is not printable ASCII, as a JWE of the REST protocol is"},
      {"5", {kJwe, {}}, "the record's key id is no UUID: 5"},
      {"a\nb", {kJwe, {}}, "the record's key id is no UUID: a?b"},
  };
  for (const auto& [key_id, record, message] : cases) {
    EXPECT_THAT(Decrypt(key_id, record), StatusIs(Code::kInvalidArgument, message));
  }
  EXPECT_THAT(http_.sent, IsEmpty());
}

TEST_F(RestBackendTest, ErrorsOfEncryptArePassedOn) {
  const std::pair<absl::StatusOr<HttpResponse>, absl::Status> cases[] = {
      {absl::UnavailableError("reset"), absl::UnavailableError("reset")},
      {absl::DeadlineExceededError("late"), absl::DeadlineExceededError("late")},
      {Response(400), absl::FailedPreconditionError("REST encrypt refused: HTTP 400 Bad Request")},
      {Response(403), absl::PermissionDeniedError("REST encrypt refused: HTTP 403 Forbidden")},
      {Response(404), absl::NotFoundError("REST encrypt refused: HTTP 404 Not Found")},
      {Response(200, "{}"),
       absl::DataLossError("REST encrypt: the answer has no text in \"ciphertext\"")},
      {Response(400, Json{{"errors", {absl::StrCat("bad: ", kPlaintextInBase64)}}}.dump()),
       absl::FailedPreconditionError("REST encrypt refused: HTTP 400 Bad Request: (a text that "
                                     "repeats the request)")},
  };
  for (const auto& [answer, error] : cases) {
    answers_.insert_or_assign(kEncryptUrl, answer);
    EXPECT_THAT(Encrypt(kKey, kPlaintext), StatusIs(error.code(), std::string(error.message())));
  }
}

TEST_F(RestBackendTest, ErrorsOfDecryptArePassedOn) {
  const std::pair<absl::StatusOr<HttpResponse>, absl::Status> cases[] = {
      {absl::UnavailableError("reset"), absl::UnavailableError("reset")},
      {absl::DeadlineExceededError("late"), absl::DeadlineExceededError("late")},
      {Response(400), absl::InvalidArgumentError("REST decrypt refused: HTTP 400 Bad Request")},
      {Response(401), absl::UnauthenticatedError("REST decrypt refused: HTTP 401 Unauthorized")},
      {Response(404), absl::NotFoundError("REST decrypt refused: HTTP 404 Not Found")},
      {Response(429), absl::UnavailableError("REST decrypt refused: HTTP 429 Too Many Requests")},
      {Response(200, R"({"plaintext":"!"})"),
       absl::DataLossError("REST decrypt: \"plaintext\" is no base64")},
  };
  for (const auto& [answer, error] : cases) {
    answers_.insert_or_assign(kDecryptUrl, answer);
    EXPECT_THAT(Decrypt(kKey, {kJwe, {}}), StatusIs(error.code(), std::string(error.message())));
  }
}

}  // namespace
}  // namespace okms::rest
