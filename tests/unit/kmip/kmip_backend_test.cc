// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/kmip_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"
#include "unit/await.h"
#include "unit/hex.h"
#include "unit/kmip/fake_stream.h"

namespace okms::kmip {
namespace {

using namespace std::chrono_literals;
using namespace test;  // NOLINT(google-build-using-namespace): the fakes beside this file
using okms::test::Await;
using okms::test::FromHex;
using okms::test::IsOk;
using okms::test::StatusIs;
using okms::test::ToHex;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr auto kInvalidArgument = absl::StatusCode::kInvalidArgument;

// 32 bytes, as the apiserver's seeds.
constexpr char kPlaintext[] = "0123456789abcdef0123456789abcdef";
const std::string kData(32, 'C');
const std::string kTag(16, 'T');
const std::string kIv = "an-iv-of-12b";
constexpr auto kGet = static_cast<Operation>(0x0A);

Deadline Later() { return Clock::now() + 1h; }

class KmipBackendTest : public ::testing::Test {
 protected:
  // Set before the first call.
  KeyName key_ = KeyId{"5"};
  ProtocolVersion version_{1, 4};
  Handler handler_;

  // The key itself never travels, whatever the test.
  ~KmipBackendTest() override { EXPECT_THAT(kms_.operations(), Not(Contains(kGet))); }

  KmipBackend& backend() {
    if (backend_ == nullptr) {
      kms_.Handle(Speaks({version_}, [this](const Request& request) { return handler_(request); }));
      backend_ = std::make_unique<KmipBackend>(std::make_unique<FakeDialer>(kms_), key_);
    }
    return *backend_;
  }
  absl::StatusOr<KeyInfo> FindKey() {
    return Await<KeyInfo>([&](auto done) { backend().FindKey(Later(), std::move(done)); });
  }
  absl::StatusOr<Ciphertext> Encrypt(const std::string& key_id = "5") {
    return Await<Ciphertext>([&](auto done) {
      backend().Encrypt(key_id, Secret(AsBytes(kPlaintext)), Later(), std::move(done));
    });
  }
  absl::StatusOr<std::string> Decrypt(Ciphertext record, const std::string& key_id = "5") {
    const auto secret = Await<Secret>(
        [&](auto done) { backend().Decrypt(key_id, std::move(record), Later(), std::move(done)); });
    if (!secret.ok()) return secret.status();
    return std::string(AsText(secret->Reveal()));
  }
  static Ciphertext Record() {
    return {kData + kTag, {{"iv.okms.ovh.com", kIv}, {"alg.okms.ovh.com", "AES_GCM"}}};
  }
  // Without the negotiation, which each session begins with.
  std::vector<Operation> Operations() const {
    std::vector<Operation> operations;
    for (const Operation operation : kms_.operations()) {
      if (operation != Operation::kDiscoverVersions) operations.push_back(operation);
    }
    return operations;
  }
  // The last request.
  std::string LastBytes() const { return kms_.seen().back().bytes; }

  FakeKms kms_{[](const Request&) { return Closed(); }};

 private:
  std::unique_ptr<KmipBackend> backend_;  // last: its threads use all above
};

// ---- FindKey

GetAttributesResponse GoodKey(absl::string_view id = "5") {
  return {.unique_identifier = id,
          .object_type = ObjectType::kSymmetricKey,
          .state = State::kActive,
          .algorithm = CryptographicAlgorithm::kAes,
          .length = 256,
          .usage_mask = kUsageEncrypt | kUsageDecrypt};
}

class FindKeyTest : public KmipBackendTest {
 protected:
  FindKeyTest() {
    handler_ = [this](const Request& request) {
      switch (request.operation) {
        case Operation::kGetAttributes: return Success(request, attributes_);
        case Operation::kLocate:
          return Success(request, LocateResponse{{ids_.begin(), ids_.end()}});
        default: return Refusal(request, ResultReason::kOperationNotSupported);
      }
    };
  }
  GetAttributesResponse attributes_ = GoodKey();
  std::vector<std::string> ids_ = {"5"};
};

TEST_F(FindKeyTest, ById) {
  std::vector<std::string> names;
  handler_ = [&](const Request& request) {
    const auto read = GetAttributesRequest::Read(request.payload);
    EXPECT_EQ(read->unique_identifier, "5");
    for (const absl::string_view name : read->names) names.emplace_back(name);
    return Success(request, GoodKey());
  };
  const auto key = FindKey();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->id, "5");
  EXPECT_TRUE(key->attributes_verified);
  EXPECT_THAT(Operations(), ElementsAre(Operation::kGetAttributes));
  EXPECT_THAT(names, UnorderedElementsAre("State", "Object Type", "Cryptographic Algorithm",
                                          "Cryptographic Length", "Cryptographic Usage Mask"));
}

TEST_F(FindKeyTest, ByLabel) {
  key_ = KeyLabel{"etcd"};
  ids_ = {"00000000-0000-0000-0000-000000000001"};
  attributes_ = GoodKey(ids_.front());
  const auto key = FindKey();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->id, ids_.front());
  EXPECT_TRUE(key->attributes_verified);
  EXPECT_THAT(Operations(), ElementsAre(Operation::kLocate, Operation::kGetAttributes));
}

TEST_F(FindKeyTest, ByLabelAsksForActiveSymmetricKeysOfThatName) {
  key_ = KeyLabel{"etcd"};
  handler_ = [&](const Request& request) {
    if (request.operation == Operation::kGetAttributes) return Success(request, GoodKey());
    const auto locate = LocateRequest::Read(request.payload);
    EXPECT_EQ(locate->name, "etcd");
    EXPECT_EQ(locate->object_type, ObjectType::kSymmetricKey);
    EXPECT_EQ(locate->state, State::kActive);
    return Success(request, LocateResponse{{"5"}});
  };
  EXPECT_THAT(FindKey(), IsOk());
}

TEST_F(FindKeyTest, ByLabelThatNoKeyHas) {
  key_ = KeyLabel{"etcd\n"};
  ids_ = {};
  EXPECT_THAT(FindKey(), StatusIs(absl::StatusCode::kNotFound,
                                  "no active symmetric key has the label \"etcd?\", or this client "
                                  "may not see it"));
}

TEST_F(FindKeyTest, ByLabelOfTwoKeys) {
  key_ = KeyLabel{"etcd"};
  ids_ = {"first", "second"};
  EXPECT_THAT(FindKey(), StatusIs(kFailedPrecondition,
                                  "the label \"etcd\" fits 2 active keys (first, second); rename "
                                  "all but one, or name the key by its id"));
}

TEST_F(FindKeyTest, ByLabelOfManyKeysNamesSome) {
  key_ = KeyLabel{"etcd"};
  ids_ = {"1", "2", "3", "4", "5", "6", "7", "8", "9"};
  EXPECT_THAT(FindKey(), StatusIs(kFailedPrecondition,
                                  "the label \"etcd\" fits 9 active keys (1, 2, 3, 4, 5, 6, 7, 8, "
                                  "...); rename all but one, or name the key by its id"));
}

TEST_F(FindKeyTest, ByLabelWithAnEmptyId) {
  key_ = KeyLabel{"etcd"};
  ids_ = {""};
  EXPECT_THAT(FindKey(), StatusIs(kDataLoss, "KMIP Locate: an empty key id"));
}

TEST_F(FindKeyTest, ByLabelAtAServerThatRejectsTheFilters) {
  for (const ResultReason reason : {ResultReason::kInvalidField, ResultReason::kInvalidMessage,
                                    ResultReason::kFeatureNotSupported,
                                    ResultReason::kGeneralFailure, ResultReason::kItemNotFound}) {
    FakeKms kms(Speaks({{1, 4}}, [&](const Request& request) {
      if (request.operation == Operation::kGetAttributes) return Success(request, GoodKey());
      const auto locate = LocateRequest::Read(request.payload);
      EXPECT_EQ(locate->name, "etcd");
      return locate->object_type || locate->state ? Refusal(request, reason)
                                                  : Success(request, LocateResponse{{"5"}});
    }));
    KmipBackend backend(std::make_unique<FakeDialer>(kms), KeyLabel{"etcd"});
    const auto key = Await<KeyInfo>([&](auto done) { backend.FindKey(Later(), std::move(done)); });
    ASSERT_THAT(key, IsOk());
    EXPECT_EQ(key->id, "5");
    EXPECT_THAT(kms.operations(), ElementsAre(Operation::kDiscoverVersions, Operation::kLocate,
                                              Operation::kLocate, Operation::kGetAttributes));
  }
}

TEST_F(FindKeyTest, ByLabelWithoutTheRight) {
  key_ = KeyLabel{"etcd"};
  handler_ = [](const Request& request) {
    return Refusal(request, ResultReason::kPermissionDenied, "locate is not yours");
  };
  EXPECT_THAT(FindKey(), StatusIs(absl::StatusCode::kPermissionDenied,
                                  "KMIP Locate refused: PermissionDenied: locate is not yours"));
  EXPECT_THAT(Operations(), ElementsAre(Operation::kLocate));
}

struct Unfit {
  const char* name;
  void (*spoil)(GetAttributesResponse&);
  absl::StatusCode code;
  const char* message;
};

class UnfitKeyTest : public FindKeyTest, public ::testing::WithParamInterface<Unfit> {};
INSTANTIATE_TEST_SUITE_P(
    , UnfitKeyTest,
    ::testing::Values(Unfit{"OtherKey", [](auto& a) { a.unique_identifier = "6"; }, kDataLoss,
                            "KMIP GetAttributes: the reply is about key 6, not 5"},
                      Unfit{"NoSymmetricKey",
                            [](auto& a) { a.object_type = ObjectType::kCertificate; },
                            kFailedPrecondition, "key 5 is no symmetric key (object type 1)"},
                      Unfit{"PreActive", [](auto& a) { a.state = State::kPreActive; },
                            kFailedPrecondition, "key 5 is in state PreActive, not Active"},
                      Unfit{"Deactivated", [](auto& a) { a.state = State::kDeactivated; },
                            kFailedPrecondition, "key 5 is in state Deactivated, not Active"},
                      Unfit{"Destroyed", [](auto& a) { a.state = State::kDestroyed; },
                            kFailedPrecondition, "key 5 is in state Destroyed, not Active"},
                      Unfit{"UnknownState", [](auto& a) { a.state = static_cast<State>(9); },
                            kFailedPrecondition, "key 5 is in state 0x9, not Active"},
                      Unfit{"NotAes",
                            [](auto& a) { a.algorithm = static_cast<CryptographicAlgorithm>(2); },
                            kFailedPrecondition, "key 5 is not an AES key (algorithm 2)"},
                      Unfit{"OddLength", [](auto& a) { a.length = 512; }, kFailedPrecondition,
                            "key 5 has 512 bits; AES has 128, 192 or 256"},
                      Unfit{"DecryptOnly", [](auto& a) { a.usage_mask = kUsageDecrypt; },
                            kFailedPrecondition, "key 5 may not Encrypt by its usage mask"},
                      Unfit{"EncryptOnly", [](auto& a) { a.usage_mask = kUsageEncrypt | 3; },
                            kFailedPrecondition, "key 5 may not Decrypt by its usage mask"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(UnfitKeyTest, IsRefusedWithItsReason) {
  GetParam().spoil(attributes_);
  EXPECT_THAT(FindKey(), StatusIs(GetParam().code, GetParam().message));
}

TEST_F(FindKeyTest, TakesEveryAesLengthAndFurtherUsages) {
  for (const int32_t length : {128, 192, 256}) {
    attributes_.length = length;
    attributes_.usage_mask = 0xFF;
    EXPECT_THAT(FindKey(), IsOk()) << length;
  }
}

TEST_F(FindKeyTest, WhatTheServerLeavesOutIsNotHeldAgainstTheKey) {
  attributes_ = GetAttributesResponse();
  attributes_.unique_identifier = "5";
  const auto key = FindKey();
  ASSERT_THAT(key, IsOk());
  EXPECT_FALSE(key->attributes_verified);
}

TEST_F(FindKeyTest, StateAloneMakesItVerified) {
  attributes_ = GetAttributesResponse();
  attributes_.unique_identifier = "5";
  attributes_.state = State::kActive;
  EXPECT_TRUE(FindKey()->attributes_verified);
}

TEST_F(FindKeyTest, ServerMayRefuseToShowAttributes) {
  for (const ResultReason reason :
       {ResultReason::kPermissionDenied, ResultReason::kOperationNotSupported,
        ResultReason::kInvalidField, ResultReason::kGeneralFailure}) {
    handler_ = [=](const Request& request) { return Refusal(request, reason); };
    const auto key = FindKey();
    ASSERT_THAT(key, IsOk());
    EXPECT_EQ(key->id, "5");
    EXPECT_FALSE(key->attributes_verified);
  }
}

TEST_F(FindKeyTest, KeyThatDoesNotExist) {
  handler_ = [](const Request& request) {
    return Refusal(request, ResultReason::kItemNotFound, "gone");
  };
  EXPECT_THAT(FindKey(), StatusIs(absl::StatusCode::kNotFound,
                                  "KMIP GetAttributes refused: ItemNotFound: gone"));
}

TEST_F(FindKeyTest, UnknownClient) {
  handler_ = [](const Request& request) {
    return Refusal(request, ResultReason::kAuthenticationNotSuccessful, "who?");
  };
  EXPECT_THAT(FindKey(), StatusIs(absl::StatusCode::kUnauthenticated,
                                  "KMIP GetAttributes refused: AuthenticationNotSuccessful: who?"));
}

TEST_F(FindKeyTest, BrokenSessionIsNoRefusal) {
  handler_ = [](const Request&) { return Closed(); };
  EXPECT_THAT(FindKey(), StatusIs(absl::StatusCode::kUnavailable,
                                  "KMIP GetAttributes: kms: read: closed by the KMS"));
}

// ---- Encrypt

class EncryptTest : public KmipBackendTest {
 protected:
  EncryptTest() {
    handler_ = [this](const Request& request) { return Success(request, reply_); };
  }
  EncryptResponse reply_{
      .unique_identifier = "5", .data = AsBytes(kData), .iv = {}, .tag = AsBytes(kTag)};
};

// What the Go plugin sends for the same input, without its time stamp; the IV differs each time.
TEST_F(EncryptTest, SendsTheBytesOfTheGoPlugin) {
  const auto ciphertext = Encrypt();
  ASSERT_THAT(ciphertext, IsOk());
  const std::string iv = ciphertext->annotations.at("iv.okms.ovh.com");
  ASSERT_EQ(iv.size(), 12u);
  const std::string expected = FromHex(absl::StrCat(
      "42007801 000000f8 42007701 00000038 42006901 00000020 42006a02 00000004 00000001 00000000"
      "42006b02 00000004 00000004 00000000 42000d02 00000004 00000001 00000000"
      "42000f01 000000b0 42005c05 00000004 0000001f 00000000"
      "42007901 00000098 42009407 00000001 3500000000000000 42002b01 00000040"
      "42001105 00000004 00000009 00000000 42002805 00000004 00000003 00000000"
      "4200cd02 00000004 0000000c 00000000 4200ce02 00000004 00000010 00000000"
      "4200c208 00000020 3031323334353637383961626364656630313233343536373839616263646566"
      "42003d08 0000000c",
      ToHex(AsBytes(iv)), "00000000"));
  EXPECT_EQ(ToHex(AsBytes(LastBytes())), ToHex(AsBytes(expected)));
}

TEST_F(EncryptTest, UsesAnotherIvEachTime) {
  const auto first = Encrypt();
  const auto second = Encrypt();
  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(second, IsOk());
  EXPECT_NE(first->annotations.at(kIvAnnotation), second->annotations.at(kIvAnnotation));
}

TEST_F(EncryptTest, PutsTheTagBehindTheData) {
  const auto ciphertext = Encrypt();
  ASSERT_THAT(ciphertext, IsOk());
  EXPECT_EQ(ciphertext->bytes, kData + kTag);
  EXPECT_THAT(ciphertext->annotations,
              UnorderedElementsAre(Pair("alg.okms.ovh.com", "AES_GCM"),
                                   Pair("iv.okms.ovh.com", ::testing::SizeIs(12))));
}

TEST_F(EncryptTest, TakesTheTagInTheDataInEveryVersion) {
  for (const int32_t minor : {1, 2, 3, 4}) {
    FakeKms kms(Speaks({{1, minor}}, [&](const Request& request) {
      if (request.operation == Operation::kQuery) {
        return Success(request, QueryResponse{{Operation::kEncrypt, Operation::kDecrypt}});
      }
      const std::string both = kData + kTag;
      return Success(
          request,
          EncryptResponse{.unique_identifier = "5", .data = AsBytes(both), .iv = {}, .tag = {}});
    }));
    KmipBackend backend(std::make_unique<FakeDialer>(kms), KeyId{"5"});
    const auto ciphertext = Await<Ciphertext>([&](auto done) {
      backend.Encrypt("5", Secret(AsBytes(kPlaintext)), Later(), std::move(done));
    });
    ASSERT_THAT(ciphertext, IsOk()) << minor;
    EXPECT_EQ(ciphertext->bytes, kData + kTag);
  }
}

TEST_F(EncryptTest, IvOfTheServerWins) {
  reply_.iv = AsBytes(kIv);
  const auto ciphertext = Encrypt();
  ASSERT_THAT(ciphertext, IsOk());
  EXPECT_EQ(ciphertext->annotations.at(kIvAnnotation), kIv);
}

TEST_F(EncryptTest, IvOfTheServerOfAnotherSizeIsRefused) {
  for (const std::string& iv : {std::string(16, 'i'), std::string()}) {
    reply_.iv = AsBytes(iv);
    EXPECT_THAT(Encrypt(), StatusIs(kDataLoss, absl::StrCat("KMIP Encrypt: the KMS used an IV of ",
                                                            iv.size(), " bytes, not 12")));
  }
}

TEST_F(EncryptTest, DroppedTagIsRefused) {
  version_ = {1, 2};
  reply_.tag = {};
  EXPECT_THAT(
      Encrypt(),
      StatusIs(kDataLoss,
               "KMIP Encrypt: the KMS returned 32 bytes for 32; with the GCM tag it must be "
               "48. Nothing was stored. KMIP 1.2 of this KMS cannot carry the tag; it needs "
               "1.4"));
}

TEST_F(EncryptTest, WrongLengthIsRefused) {
  const std::string data = kData + "x";
  reply_.data = AsBytes(data);
  EXPECT_THAT(Encrypt(), StatusIs(kDataLoss, ::testing::StartsWith(
                                                 "KMIP Encrypt: the KMS returned 49 bytes for 32; "
                                                 "with the GCM tag it must be 48. ")));
}

TEST_F(EncryptTest, ReplyWithoutDataIsRefused) {
  reply_.data = {};
  EXPECT_THAT(Encrypt(), StatusIs(kDataLoss, ::testing::StartsWith(
                                                 "KMIP Encrypt: the KMS returned 16 bytes for 32; "
                                                 "with the GCM tag it must be 48. ")));
}

TEST_F(EncryptTest, TagOfAnotherSizeIsRefused) {
  const std::string data(36, 'C');
  const std::string tag(12, 'T');
  reply_.data = AsBytes(data);
  reply_.tag = AsBytes(tag);
  EXPECT_THAT(Encrypt(), StatusIs(kDataLoss, "KMIP Encrypt: the tag has 12 bytes, not 16"));
}

TEST_F(EncryptTest, ReplyAboutAnotherKeyIsRefused) {
  reply_.unique_identifier = "6";
  EXPECT_THAT(Encrypt(), StatusIs(kDataLoss, "KMIP Encrypt: the reply is about key 6, not 5"));
  reply_.unique_identifier = {};
  EXPECT_THAT(Encrypt(), StatusIs(kDataLoss, "KMIP Encrypt: the reply is about key (none), not 5"));
}

TEST_F(EncryptTest, RefusalIsPassedOn) {
  handler_ = [](const Request& request) {
    return Refusal(request, ResultReason::kPermissionDenied, "not Active");
  };
  EXPECT_THAT(Encrypt(), StatusIs(absl::StatusCode::kPermissionDenied,
                                  "KMIP Encrypt refused: PermissionDenied: not Active"));
}

// ---- Decrypt

class DecryptTest : public KmipBackendTest {
 protected:
  // How the last requests carried the tag: "field", "data", or what else.
  std::string PlacesSeen() {
    std::string places;
    for (const Seen& seen : kms_.seen()) {
      if (seen.operation != Operation::kDecrypt) continue;
      const auto request = Request::Decode(AsBytes(seen.bytes));
      absl::StrAppend(&places, places.empty() ? "" : " ",
                      Place(*DecryptRequest::Read(request->payload)));
    }
    return places;
  }
  static std::string Place(const DecryptRequest& request) {
    const absl::string_view data = AsText(*request.data);
    if (request.tag && AsText(*request.tag) == kTag && data == kData) return "field";
    if (!request.tag && data == kData + kTag) return "data";
    return "elsewhere";
  }
  // A server that takes the tag in one place only.
  Handler Wants(const std::string& place, ResultReason otherwise = ResultReason::kInvalidField) {
    return [=, this](const Request& request) {
      if (request.operation == Operation::kEncrypt) return Success(request, encrypt_reply_);
      return Place(*DecryptRequest::Read(request.payload)) == place
                 ? Success(request, DecryptResponse{"5", AsBytes(kPlaintext)})
                 : Refusal(request, otherwise, "wants the tag in " + place);
    };
  }
  const std::string both_ = kData + kTag;
  EncryptResponse encrypt_reply_{
      .unique_identifier = "5", .data = AsBytes(kData), .iv = {}, .tag = AsBytes(kTag)};
};

TEST_F(DecryptTest, SendsTheBytesOfTheGoPlugin) {
  handler_ = Wants("field");
  EXPECT_EQ(*Decrypt(Record()), kPlaintext);
  const std::string expected = FromHex(absl::StrCat(
      "42007801 00000110 42007701 00000038 42006901 00000020 42006a02 00000004 00000001 00000000"
      "42006b02 00000004 00000004 00000000 42000d02 00000004 00000001 00000000"
      "42000f01 000000c8 42005c05 00000004 00000020 00000000"
      "42007901 000000b0 42009407 00000001 3500000000000000 42002b01 00000040"
      "42001105 00000004 00000009 00000000 42002805 00000004 00000003 00000000"
      "4200cd02 00000004 0000000c 00000000 4200ce02 00000004 00000010 00000000"
      "4200c208 00000020",
      ToHex(AsBytes(kData)), "42003d08 0000000c", ToHex(AsBytes(kIv)), "00000000",
      "4200ff08 00000010", ToHex(AsBytes(kTag))));
  EXPECT_EQ(ToHex(AsBytes(LastBytes())), ToHex(AsBytes(expected)));
}

TEST_F(DecryptTest, UsesTheKeyOfTheRecord) {
  handler_ = [](const Request& request) {
    return Success(request,
                   DecryptResponse{DecryptRequest::Read(request.payload)->unique_identifier,
                                   AsBytes(kPlaintext)});
  };
  EXPECT_EQ(*Decrypt(Record(), "an older key"), kPlaintext);
  const std::string bytes = LastBytes();
  const auto request = Request::Decode(AsBytes(bytes));
  ASSERT_THAT(request, IsOk());
  EXPECT_EQ(DecryptRequest::Read(request->payload)->unique_identifier, "an older key");
}

TEST_F(DecryptTest, TagHasItsOwnFieldFrom14On) {
  handler_ = Wants("field");
  EXPECT_THAT(Decrypt(Record()), IsOk());
  EXPECT_EQ(PlacesSeen(), "field");
}

TEST_F(DecryptTest, TagIsNotTriedInTheDataFrom14On) {
  handler_ = Wants("data");
  EXPECT_THAT(
      Decrypt(Record()),
      StatusIs(kFailedPrecondition, "KMIP Decrypt refused: InvalidField: wants the tag in data"));
  EXPECT_EQ(PlacesSeen(), "field");
}

TEST_F(DecryptTest, TagTravelsInTheDataBelow14) {
  version_ = {1, 3};
  handler_ = Wants("data");
  EXPECT_EQ(*Decrypt(Record()), kPlaintext);
  EXPECT_EQ(PlacesSeen(), "data");
}

TEST_F(DecryptTest, TagInItsFieldBelow14IsFoundAndRemembered) {
  version_ = {1, 3};
  handler_ = Wants("field");
  EXPECT_EQ(*Decrypt(Record()), kPlaintext);
  EXPECT_EQ(*Decrypt(Record()), kPlaintext);
  EXPECT_EQ(PlacesSeen(), "data field field");
}

TEST_F(DecryptTest, TagGoesWhereEncryptAnsweredWithItBelow14) {
  version_ = {1, 2};
  handler_ = Wants("field");
  ASSERT_THAT(Encrypt(), IsOk());
  EXPECT_EQ(*Decrypt(Record()), kPlaintext);
  EXPECT_EQ(PlacesSeen(), "field");

  encrypt_reply_.data = AsBytes(both_);
  encrypt_reply_.tag = {};
  handler_ = Wants("data");
  ASSERT_THAT(Encrypt(), IsOk());
  EXPECT_EQ(*Decrypt(Record()), kPlaintext);
  EXPECT_EQ(PlacesSeen(), "field data");
}

TEST_F(DecryptTest, FirstRefusalIsReportedWhenNeitherPlaceIsTaken) {
  version_ = {1, 2};
  handler_ = Wants("nowhere");
  EXPECT_THAT(Decrypt(Record()),
              StatusIs(kFailedPrecondition,
                       "KMIP Decrypt refused: InvalidField: wants the tag in nowhere"));
  EXPECT_EQ(PlacesSeen(), "data field");
}

TEST_F(DecryptTest, OtherPlaceIsNotTriedWhenTheKeyIsOutOfReach) {
  version_ = {1, 2};
  const std::pair<ResultReason, absl::StatusCode> cases[] = {
      {ResultReason::kPermissionDenied, absl::StatusCode::kPermissionDenied},
      {ResultReason::kItemNotFound, absl::StatusCode::kNotFound}};
  for (const auto& [reason, code] : cases) {
    kms_.Forget();
    handler_ = Wants("field", reason);
    EXPECT_EQ(Decrypt(Record()).status().code(), code);
    EXPECT_EQ(PlacesSeen(), "data");
  }
}

TEST_F(DecryptTest, ReplyAboutAnotherKeyIsRefused) {
  handler_ = [](const Request& request) {
    return Success(request, DecryptResponse{"6", AsBytes(kPlaintext)});
  };
  EXPECT_THAT(Decrypt(Record()),
              StatusIs(kDataLoss, "KMIP Decrypt: the reply is about key 6, not 5"));
}

TEST_F(DecryptTest, ReplyOfAnotherSizeIsRefused) {
  for (const std::string& plaintext : {std::string(), std::string(31, 'p'), std::string(48, 'p')}) {
    handler_ = [&](const Request& request) {
      return Success(request, DecryptResponse{"5", AsBytes(plaintext)});
    };
    EXPECT_THAT(
        Decrypt(Record()),
        StatusIs(kDataLoss, absl::StrCat("KMIP Decrypt: the KMS returned ", plaintext.size(),
                                         " bytes; the ciphertext holds 32")));
  }
}

TEST_F(DecryptTest, CryptographicFailureIsTheRecordsFault) {
  handler_ = [](const Request& request) {
    return Refusal(request, ResultReason::kCryptographicFailure, "bad tag");
  };
  EXPECT_THAT(Decrypt(Record()),
              StatusIs(kInvalidArgument, "KMIP Decrypt refused: CryptographicFailure: bad tag"));
}

TEST_F(DecryptTest, AlgorithmAnnotationMayBeAbsentAsForTheGoPlugin) {
  handler_ = Wants("field");
  Ciphertext record = Record();
  record.annotations.erase(kAlgorithmAnnotation);
  EXPECT_THAT(Decrypt(record), IsOk());
}

struct BadRecord {
  const char* name;
  void (*spoil)(Ciphertext&);
  std::string message;
};

class BadRecordTest : public DecryptTest, public ::testing::WithParamInterface<BadRecord> {};
INSTANTIATE_TEST_SUITE_P(
    , BadRecordTest,
    ::testing::Values(
        BadRecord{"Empty", [](Ciphertext& r) { r.bytes.clear(); },
                  "the ciphertext has 0 bytes; AES-GCM with its tag has at least 17"},
        BadRecord{"TagOnly", [](Ciphertext& r) { r.bytes.resize(16); },
                  "the ciphertext has 16 bytes; AES-GCM with its tag has at least 17"},
        BadRecord{"NoIv", [](Ciphertext& r) { r.annotations.erase(kIvAnnotation); },
                  "annotation iv.okms.ovh.com is missing"},
        BadRecord{"NoAnnotations", [](Ciphertext& r) { r.annotations.clear(); },
                  "annotation iv.okms.ovh.com is missing"},
        BadRecord{"EmptyIv", [](Ciphertext& r) { r.annotations[kIvAnnotation].clear(); },
                  "annotation iv.okms.ovh.com has 0 bytes; an IV has 12"},
        BadRecord{"LongIv", [](Ciphertext& r) { r.annotations[kIvAnnotation] += "more"; },
                  "annotation iv.okms.ovh.com has 16 bytes; an IV has 12"},
        BadRecord{"OtherAlgorithm",
                  [](Ciphertext& r) { r.annotations[kAlgorithmAnnotation] = "AES_CBC\n"; },
                  "annotation alg.okms.ovh.com is \"AES_CBC?\"; only AES_GCM is supported"},
        BadRecord{"UnknownAnnotation",
                  [](Ciphertext& r) { r.annotations["aad.okms.ovh.com"] = "x"; },
                  "unknown annotation \"aad.okms.ovh.com\"; this record is not of this plugin, or "
                  "of a later version"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(BadRecordTest, IsRefusedWithoutAskingTheKms) {
  Ciphertext record = Record();
  GetParam().spoil(record);
  EXPECT_THAT(Decrypt(record), StatusIs(kInvalidArgument, GetParam().message));
  EXPECT_EQ(kms_.dials(), 0);
}

TEST_F(DecryptTest, OneByteOfPlaintextIsEnough) {
  handler_ = [](const Request& request) {
    return Success(request, DecryptResponse{"5", AsBytes("p")});
  };
  Ciphertext record = Record();
  record.bytes.resize(17);
  EXPECT_EQ(*Decrypt(record), "p");
}

}  // namespace
}  // namespace okms::kmip
