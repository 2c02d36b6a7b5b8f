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
#include "unit/http/fake_http.h"

namespace okms::rest {
namespace {

using namespace std::chrono_literals;
using http::test::FakeHttp;
using http::test::FakeHttpClient;
using http::test::Response;
using http::test::Sent;
using okms::test::Await;
using okms::test::IsOk;
using okms::test::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Code = absl::StatusCode;

constexpr char kOkms[] = "0123abcd-4567-89ef-0123-456789abcdef";
constexpr char kKey[] = "aaaaaaaa-2222-3333-4444-555555555555";
constexpr char kUpperKey[] = "AAAAAAAA-2222-3333-4444-555555555555";
constexpr char kOtherKey[] = "bbbbbbbb-2222-3333-4444-555555555555";
const std::string kKeysPath = absl::StrCat("/api/", kOkms, "/v1/servicekey");
const std::string kFirstPage = kKeysPath + "?state=active";
const std::string kKeyPath = absl::StrCat(kKeysPath, "/", kKey);
constexpr char kJwe[] = "eyJhbGciOiJkaXIifQ..48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7T.XFB";

std::string NextPage(absl::string_view token) {
  return absl::StrCat(kKeysPath, "?continuation-token=", token, "&state=active");
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
Json Page(std::vector<Json> keys, absl::string_view next = "") {
  return {{"objects_list", std::move(keys)},
          {"continuation_token", next},
          {"is_truncated", !next.empty()}};
}
http::HttpResponse Ok(const Json& body) { return Response(200, body.dump()); }

class RestBackendTest : public ::testing::Test {
 protected:
  RestBackendTest() {
    http_.handler =
        calls_.handler = [this](const Sent& sent) -> absl::StatusOr<http::HttpResponse> {
      EXPECT_EQ(sent.deadline, deadline_);
      EXPECT_EQ(sent.earliest, Clock::time_point());
      const auto found = answers_.find(sent.path);
      if (found != answers_.end()) return found->second;
      ADD_FAILURE() << "nobody expects " << sent.path;
      return absl::InternalError("not in the script");
    };
  }
  RestBackend& backend() {
    if (backend_ == nullptr) {
      backend_ = std::make_unique<RestBackend>(std::make_unique<FakeHttpClient>(calls_),
                                               std::make_unique<FakeHttpClient>(http_),
                                               ServiceKeyApi("https://kms", kOkms));
    }
    return *backend_;
  }
  // One that knows nothing of what was found before.
  void NewBackend() { backend_.reset(); }
  absl::StatusOr<Located> Locate(const std::string& label = "etcd") {
    return Await<Located>([&](auto done) {
      backend().Locate(
          label, [this] { return deadline_; }, std::move(done));
    });
  }
  absl::StatusOr<KeyInfo> Inspect(const std::string& key_id = kKey) {
    return Await<KeyInfo>(
        [&](auto done) { backend().Inspect(key_id, deadline_, std::move(done)); });
  }
  absl::StatusOr<Ciphertext> Encrypt(const std::string& key_id, absl::string_view plaintext) {
    return Await<Ciphertext>([&](auto done) {
      backend().Encrypt(way_, key_id, Secret(AsBytes(plaintext)), deadline_, std::move(done));
    });
  }
  absl::StatusOr<std::string> Decrypt(const std::string& key_id, Ciphertext record) {
    const auto secret = Await<Secret>([&](auto done) {
      backend().Decrypt(way_, key_id, std::move(record), deadline_, std::move(done));
    });
    if (!secret.ok()) return secret.status();
    return std::string(AsText(secret->Reveal()));
  }

  const Deadline deadline_ = Clock::now() + 1h;
  FakeHttp http_;  // of the checks
  FakeHttp calls_;
  Way way_ = Way::kChecks;
  std::map<std::string, absl::StatusOr<http::HttpResponse>> answers_;

 private:
  std::unique_ptr<RestBackend> backend_;
};

// ---- Inspect

TEST_F(RestBackendTest, KeyIsShown) {
  answers_ = {{kKeyPath, Ok(Key())}};
  const auto key = Inspect();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(WhyUnfit(*key), "");
  EXPECT_TRUE(IsSeenActive(*key));
  ASSERT_TRUE(key->labels.has_value());
  EXPECT_THAT(*key->labels, ElementsAre("etcd"));
  EXPECT_THAT(http_.paths(), ElementsAre(kKeyPath));
  EXPECT_EQ(http_.sent[0].body, std::nullopt);
}

// The URL has the canonical form.
TEST_F(RestBackendTest, KeyIdMayHaveAnyForm) {
  answers_ = {{kKeyPath, Ok(Key(kUpperKey))}};
  for (const std::string& form :
       {std::string(kUpperKey), absl::StrCat("urn:uuid:", kKey), absl::StrCat("{", kUpperKey, "}"),
        std::string("AAAAAAAA222233334444555555555555")}) {
    http_.sent.clear();
    ASSERT_THAT(Inspect(form), IsOk()) << form;
    EXPECT_THAT(http_.paths(), ElementsAre(kKeyPath));
  }
}

TEST_F(RestBackendTest, KeyIdThatIsNoUuid) {
  EXPECT_THAT(Inspect("etcd"), StatusIs(Code::kFailedPrecondition, "the key id is no UUID"));
  EXPECT_THAT(Encrypt("etcd", "x"), StatusIs(Code::kFailedPrecondition, "the key id is no UUID"));
  EXPECT_THAT(http_.sent, IsEmpty());
}

struct UnfitKey {
  const char* name;
  Json key;
  std::string why;
  bool active = true;
};

void PrintTo(const UnfitKey& key, std::ostream* out) { *out << key.name; }

class UnfitKeyTest : public RestBackendTest, public ::testing::WithParamInterface<UnfitKey> {};

std::vector<UnfitKey> UnfitKeys() {
  const auto state = [](const char* name) { return With(Key(), "attributes", {{"state", name}}); };
  return {
      {"Rsa", With(Key(), "type", "RSA"), "is no symmetric key (type RSA, not oct)"},
      {"TypeInAnotherCase", With(Key(), "type", "OCT\n"),
       "is no symmetric key (type OCT?, not oct)"},
      {"PreActive", state("pre_active"), "is in state pre_active, not active", false},
      {"Deactivated", state("deactivated"), "is in state deactivated, not active", false},
      {"Compromised", state("compromised"), "is in state compromised, not active", false},
      {"EmptyState", state(""), "is in state , not active", false},
      {"LongState", state(std::string(100, 's').c_str()),
       "is in state " + std::string(40, 's') + "... (100 bytes), not active", false},
      {"NoOperations", With(Key(), "operations", Json::array()),
       "may not encrypt (its operations: )"},
      {"EncryptOnly", With(Key(), "operations", Json::array({"encrypt", "sign"})),
       "may not decrypt (its operations: encrypt, sign)"},
      {"DecryptOnly", With(Key(), "operations", Json::array({"decrypt"})),
       "may not encrypt (its operations: decrypt)"},
      {"WrapOnly", With(Key(), "operations", Json::array({"wrapKey", "unwrapKey"})),
       "may not encrypt (its operations: wrapKey, unwrapKey)"},
  };
}

INSTANTIATE_TEST_SUITE_P(, UnfitKeyTest, ::testing::ValuesIn(UnfitKeys()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(UnfitKeyTest, IsShownWithItsReason) {
  answers_ = {{kKeyPath, Ok(GetParam().key)}};
  const auto key = Inspect();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(WhyUnfit(*key), GetParam().why);
  EXPECT_EQ(IsSeenActive(*key), GetParam().active);
  EXPECT_TRUE(key->labels.has_value());
}

TEST_F(RestBackendTest, AnswerAboutAnotherKeyIsRefused) {
  answers_ = {{kKeyPath, Ok(Key(kOtherKey))}};
  EXPECT_THAT(Inspect(),
              StatusIs(Code::kDataLoss, absl::StrCat("REST get key: the answer is about key ",
                                                     kOtherKey, ", not ", kKey)));
}

TEST_F(RestBackendTest, KeyWithoutAStateIsNotSeenToBeActive) {
  answers_ = {{kKeyPath, Ok(Without(Key(), "attributes"))}};
  const auto key = Inspect();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(WhyUnfit(*key), "");
  EXPECT_FALSE(IsSeenActive(*key));
}

TEST_F(RestBackendTest, KeyWithoutOperationsIsTaken) {
  answers_ = {{kKeyPath, Ok(Without(Key(), "operations"))}};
  const auto key = Inspect();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(WhyUnfit(*key), "");
}

// It may still encrypt and decrypt.
TEST_F(RestBackendTest, KeyThatMayNotBeSeen) {
  answers_ = {{kKeyPath, Response(403)}};
  const auto key = Inspect();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(WhyUnfit(*key), "");
  EXPECT_FALSE(IsSeenActive(*key));
  EXPECT_FALSE(key->labels.has_value());
}

TEST_F(RestBackendTest, ErrorsOfInspectArePassedOn) {
  const std::pair<absl::StatusOr<http::HttpResponse>, absl::Status> cases[] = {
      {absl::UnavailableError("reset"), absl::UnavailableError("reset")},
      {absl::DeadlineExceededError("late"), absl::DeadlineExceededError("late")},
      {absl::UnauthenticatedError("who"), absl::UnauthenticatedError("who")},
      {absl::ResourceExhaustedError("full"), absl::ResourceExhaustedError("full")},
      {absl::CancelledError("the end"), absl::CancelledError("the end")},
      // Of the transport, not of the KMS: nothing was refused.
      {absl::DataLossError("large"), absl::DataLossError("large")},
      {Response(401), absl::UnauthenticatedError("REST get key refused: HTTP 401 Unauthorized")},
      {Response(404),
       absl::NotFoundError(
           absl::StrCat("of --okms-id ", kOkms,
                        " at --serv-addr https://kms: REST get key refused: HTTP 404 Not Found"))},
      {Response(503), absl::UnavailableError("REST get key refused: HTTP 503 Service Unavailable")},
      {Response(400), absl::FailedPreconditionError("REST get key refused: HTTP 400 Bad Request")},
      {Response(200, "{"), absl::DataLossError("REST get key: the answer is no valid JSON")},
      {Ok(Without(Key(), "type")),
       absl::DataLossError("REST get key: \"type\" of a key is no text")},
  };
  for (const auto& [answer, error] : cases) {
    answers_.insert_or_assign(kKeyPath, answer);
    EXPECT_THAT(Inspect(), StatusIs(error.code(), std::string(error.message())));
  }
}

// ---- Locate

class LocateTest : public RestBackendTest {
 protected:
  // What Locate finds, by the list.
  std::vector<std::string> Found(const std::string& label = "etcd") {
    const auto located = Locate(label);
    EXPECT_THAT(located, IsOk());
    if (!located.ok()) return {};
    EXPECT_FALSE(located->remembered);
    return located->key_ids;
  }
};

TEST_F(LocateTest, KeyOnTheOnlyPage) {
  answers_ = {{kFirstPage, Ok(Page({Key(kOtherKey, "etcd2"), Key(kUpperKey)}))}};
  EXPECT_THAT(Found(), ElementsAre(kKey));  // in lower case, as the Go plugin writes it
  EXPECT_THAT(http_.paths(), ElementsAre(kFirstPage));
}

TEST_F(LocateTest, EveryPageIsRead) {
  answers_ = {{kFirstPage, Ok(Page({}, "a b"))},
              {NextPage("a+b"), Ok(Page({Key()}, "c"))},
              {NextPage("c"), Ok(Page({Key(kOtherKey, "other")}))}};
  EXPECT_THAT(Found(), ElementsAre(kKey));
  EXPECT_THAT(http_.paths(), ElementsAre(kFirstPage, NextPage("a+b"), NextPage("c")));
}

// The list is not walked at every check.
TEST_F(LocateTest, KeyThatWasFoundIsRememberedWhileItIsBorneOut) {
  answers_ = {{kFirstPage, Ok(Page({Key(kUpperKey)}))}, {kKeyPath, Ok(Key())}};
  EXPECT_THAT(Found(), ElementsAre(kKey));
  http_.sent.clear();
  for (int i = 0; i < 2; ++i) {
    const auto located = Locate();
    ASSERT_THAT(located, IsOk());
    EXPECT_THAT(located->key_ids, ElementsAre(kKey));
    EXPECT_TRUE(located->remembered);
    ASSERT_THAT(Inspect(), IsOk());
  }
  EXPECT_THAT(http_.paths(), ElementsAre(kKeyPath, kKeyPath));
}

TEST_F(LocateTest, OtherLabelIsNotTheRememberedOne) {
  answers_ = {{kFirstPage, Ok(Page({Key(), Key(kOtherKey, "other")}))}};
  EXPECT_THAT(Found(), ElementsAre(kKey));
  EXPECT_THAT(Found("other"), ElementsAre(kOtherKey));
}

TEST_F(LocateTest, ListIsReadAgainWhenThatKeyMayNotBeTheOneAnyMore) {
  for (const auto& [name, answer] : std::map<std::string, http::HttpResponse>{
           {"renamed", Ok(Key(kKey, "old"))},
           {"gone", Response(404)},
           {"deactivated", Ok(With(Key(), "attributes", {{"state", "deactivated"}}))},
           {"unfit", Ok(With(Key(), "operations", Json::array({"encrypt"})))},
           {"hidden", Response(403)},
           {"without a state", Ok(Without(Key(), "attributes"))}}) {
    NewBackend();
    answers_ = {{kFirstPage, Ok(Page({Key()}))}, {kKeyPath, answer}};
    EXPECT_THAT(Found(), ElementsAre(kKey));
    Inspect().status().IgnoreError();
    answers_.insert_or_assign(kFirstPage, Ok(Page({Key(kOtherKey)})));
    EXPECT_THAT(Found(), ElementsAre(kOtherKey)) << name;
    EXPECT_TRUE(Locate()->remembered) << name;
  }
}

TEST_F(LocateTest, WhatShowsNothingOfThatKeyForgetsNothing) {
  answers_ = {{kFirstPage, Ok(Page({Key()}))},
              {absl::StrCat(kKeysPath, "/", kOtherKey), Response(404)}};
  EXPECT_THAT(Found(), ElementsAre(kKey));
  for (const absl::StatusOr<http::HttpResponse>& answer :
       {absl::StatusOr<http::HttpResponse>(absl::UnavailableError("reset")),
        absl::StatusOr<http::HttpResponse>(Response(503))}) {
    answers_.insert_or_assign(kKeyPath, answer);
    EXPECT_THAT(Inspect(), StatusIs(Code::kUnavailable, ::testing::_));
  }
  EXPECT_THAT(Inspect(kOtherKey), StatusIs(Code::kNotFound, ::testing::_));
  EXPECT_TRUE(Locate()->remembered);
}

TEST_F(LocateTest, FitsExactly) {
  for (const char* name : {"ETCD", "etcd ", " etcd", "etc", "etcd2", ""}) {
    answers_.insert_or_assign(kFirstPage, Ok(Page({Key(kKey, name)})));
    EXPECT_THAT(Found(), IsEmpty()) << name;
  }
}

TEST_F(LocateTest, SeveralAreAllGivenAndNotRemembered) {
  answers_ = {{kFirstPage, Ok(Page({Key()}, "t"))}, {NextPage("t"), Ok(Page({Key(kOtherKey)}))}};
  EXPECT_THAT(Found(), ElementsAre(kKey, kOtherKey));
  EXPECT_THAT(Found(), ElementsAre(kKey, kOtherKey));
}

// A server that ignores state=active must not make two of one.
TEST_F(LocateTest, KeysThatAreNotActiveDoNotCount) {
  const Json deactivated = With(Key(kOtherKey), "attributes", {{"state", "deactivated"}});
  answers_ = {{kFirstPage, Ok(Page({deactivated, Key()}))}};
  EXPECT_THAT(Found(), ElementsAre(kKey));
  NewBackend();
  answers_.insert_or_assign(kFirstPage, Ok(Page({deactivated})));
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(LocateTest, KeysWithoutAStateCount) {
  answers_ = {{kFirstPage, Ok(Page({Without(Key(), "attributes"), Key(kOtherKey)}))}};
  EXPECT_THAT(Found(), ElementsAre(kKey, kOtherKey));
}

TEST_F(LocateTest, EachPageHasADeadlineOfItsOwn) {
  answers_ = {{kFirstPage, Ok(Page({Key()}, "t"))},
              {NextPage("t"), Ok(Page({}, "u"))},
              {NextPage("u"), Ok(Page({}))}};
  http_.handler = [this](const Sent& sent) { return answers_.at(sent.path); };
  Deadline deadline = deadline_;
  const auto located = Await<Located>([&](auto done) {
    backend().Locate(
        "etcd", [&] { return deadline += 1s; }, std::move(done));
  });
  EXPECT_THAT(located, IsOk());
  ASSERT_THAT(http_.sent, SizeIs(3));
  for (int page = 0; page < 3; ++page) {
    EXPECT_EQ(http_.sent[static_cast<std::size_t>(page)].deadline, deadline_ + (page + 1) * 1s);
  }
}

TEST_F(LocateTest, RepeatingTokenEndsTheSearch) {
  answers_ = {{kFirstPage, Ok(Page({Key()}, "t"))}, {NextPage("t"), Ok(Page({}, "t"))}};
  EXPECT_THAT(Locate(),
              StatusIs(Code::kDataLoss,
                       "REST list keys: the list does not end (after page 2); name the key by its "
                       "id"));
  EXPECT_THAT(http_.sent, SizeIs(2));
}

TEST_F(LocateTest, RingOfTokensEndsTheSearch) {
  answers_ = {{kFirstPage, Ok(Page({}, "a"))},
              {NextPage("a"), Ok(Page({}, "b"))},
              {NextPage("b"), Ok(Page({}, "a"))}};
  EXPECT_THAT(Locate(), StatusIs(Code::kDataLoss,
                                 "REST list keys: the list does not end (after page 3); name the "
                                 "key by its id"));
  EXPECT_THAT(http_.sent, SizeIs(3));
}

TEST_F(LocateTest, EverNewTokensEndTheSearch) {
  http_.handler = [this](const Sent&) {
    return Ok(Page({}, absl::StrCat("t", http_.sent.size())));
  };
  EXPECT_THAT(Locate(), StatusIs(Code::kDataLoss,
                                 "REST list keys: the list does not end (after page 1000); name "
                                 "the key by its id"));
  EXPECT_THAT(http_.sent, SizeIs(1000));
}

TEST_F(LocateTest, ErrorsOfTheListArePassedOn) {
  const std::pair<absl::StatusOr<http::HttpResponse>, absl::Status> cases[] = {
      {absl::UnavailableError("reset"), absl::UnavailableError("reset")},
      {Response(403), absl::PermissionDeniedError("REST list keys refused: HTTP 403 Forbidden")},
      {Response(404),
       absl::NotFoundError(absl::StrCat(
           "of --okms-id ", kOkms,
           " at --serv-addr https://kms: REST list keys refused: HTTP 404 Not Found"))},
      {Response(200, "[]"), absl::DataLossError("REST list keys: the answer is JSON, but no "
                                                "object")},
  };
  for (const auto& [answer, error] : cases) {
    answers_.insert_or_assign(kFirstPage, answer);
    EXPECT_THAT(Locate(), StatusIs(error.code(), std::string(error.message())));
    answers_.insert_or_assign(NextPage("t"), answer);
    answers_.insert_or_assign(kFirstPage, Ok(Page({Key()}, "t")));
    EXPECT_THAT(Locate(), StatusIs(error.code(), std::string(error.message())));
  }
}

// ---- Two ways

TEST_F(RestBackendTest, CallsAndChecksHaveClientsOfTheirOwn) {
  const std::string encrypt = kKeyPath + "/encrypt";
  const std::string decrypt = kKeyPath + "/decrypt";
  answers_ = {{kFirstPage, Ok(Page({}))},
              {kKeyPath, Ok(Key())},
              {encrypt, Ok({{"ciphertext", kJwe}})},
              {decrypt, Ok({{"plaintext", ""}})}};
  way_ = Way::kDecrypts;
  EXPECT_THAT(Encrypt(kKey, "x"), IsOk());
  EXPECT_THAT(Decrypt(kKey, {kJwe, {}}), IsOk());
  EXPECT_THAT(calls_.paths(), ElementsAre(encrypt, decrypt));
  EXPECT_THAT(http_.paths(), IsEmpty());
  way_ = Way::kChecks;
  EXPECT_THAT(Locate(), IsOk());
  EXPECT_THAT(Inspect(), IsOk());
  EXPECT_THAT(Encrypt(kKey, "x"), IsOk());
  EXPECT_THAT(Decrypt(kKey, {kJwe, {}}), IsOk());
  EXPECT_THAT(http_.paths(), ElementsAre(kFirstPage, kKeyPath, encrypt, decrypt));
  EXPECT_THAT(calls_.sent, SizeIs(2));
}

// ---- Encrypt and Decrypt

const std::string kEncryptPath = kKeyPath + "/encrypt";
const std::string kDecryptPath = kKeyPath + "/decrypt";
constexpr char kPlaintext[] = "0123456789abcdef0123456789abcdef";
constexpr char kPlaintextInBase64[] = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

TEST_F(RestBackendTest, EncryptGivesTheCiphertextAsItIsAndNoAnnotations) {
  answers_ = {{kEncryptPath, Ok({{"ciphertext", kJwe}})}};
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
  answers_ = {{kDecryptPath, Ok({{"plaintext", kPlaintextInBase64}})}};
  const auto plaintext = Decrypt(kKey, {kJwe, {}});
  ASSERT_THAT(plaintext, IsOk());
  EXPECT_EQ(*plaintext, kPlaintext);
}

// A record of the Go plugin: the configured id as it was written, the JWE, and nothing else. What
// goes out is what that plugin sends, except for its "context":null.
TEST_F(RestBackendTest, InterchangeWithRecordsOfTheGoPlugin) {
  answers_ = {{kDecryptPath, Ok({{"plaintext", kPlaintextInBase64}})}};
  for (const std::string& id :
       {std::string(kKey), std::string(kUpperKey), absl::StrCat("urn:uuid:", kKey),
        absl::StrCat("{", kKey, "}"), std::string("aaaaaaaa222233334444555555555555")}) {
    const auto plaintext = Decrypt(id, {kJwe, {}});
    ASSERT_THAT(plaintext, IsOk()) << id;
    EXPECT_EQ(*plaintext, kPlaintext);
    EXPECT_EQ(http_.sent.back().path, kDecryptPath);
    EXPECT_EQ(http_.sent.back().body, absl::StrCat(R"({"ciphertext":")", kJwe, R"("})"));
  }
}

// Records of a key that is not the configured one any more.
TEST_F(RestBackendTest, DecryptUsesTheKeyOfTheRecord) {
  const std::string path = absl::StrCat(kKeysPath, "/", kOtherKey, "/decrypt");
  answers_ = {{path, Ok({{"plaintext", kPlaintextInBase64}})}};
  EXPECT_THAT(Decrypt(kOtherKey, {kJwe, {}}), IsOk());
  EXPECT_THAT(http_.paths(), ElementsAre(path));
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
  const std::pair<absl::StatusOr<http::HttpResponse>, absl::Status> cases[] = {
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
    answers_.insert_or_assign(kEncryptPath, answer);
    EXPECT_THAT(Encrypt(kKey, kPlaintext), StatusIs(error.code(), std::string(error.message())));
  }
}

TEST_F(RestBackendTest, ErrorsOfDecryptArePassedOn) {
  const std::pair<absl::StatusOr<http::HttpResponse>, absl::Status> cases[] = {
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
    answers_.insert_or_assign(kDecryptPath, answer);
    EXPECT_THAT(Decrypt(kKey, {kJwe, {}}), StatusIs(error.code(), std::string(error.message())));
  }
}

}  // namespace
}  // namespace okms::rest
