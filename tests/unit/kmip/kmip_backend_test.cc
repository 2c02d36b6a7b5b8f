// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/kmip_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"
#include "unit/await.h"
#include "unit/hex.h"
#include "unit/kmip/fake_channel.h"

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
  ProtocolVersion version_{1, 4};
  Handler handler_;

  // The key itself never travels, whatever the test.
  ~KmipBackendTest() override { EXPECT_THAT(kms_.operations(), Not(Contains(kGet))); }

  KmipBackend& backend() {
    if (backend_ == nullptr) {
      kms_.Handle(Speaks({version_}, [this](const Request& request) { return handler_(request); }));
      backend_ = std::make_unique<KmipBackend>(
          *loop_, std::make_unique<FakeConnector>(*loop_, kms_), counters_, std::size_t{16});
    }
    return *backend_;
  }
  absl::StatusOr<std::vector<std::string>> Locate(const std::string& label = "etcd") {
    const auto located = Await<Located>([&](auto done) {
      backend().Locate(
          label, [] { return Later(); }, std::move(done));
    });
    if (!located.ok()) return located.status();
    EXPECT_FALSE(located->remembered);
    return located->key_ids;
  }
  absl::StatusOr<KeyInfo> Inspect(const std::string& key_id = "5") {
    return Await<KeyInfo>([&](auto done) { backend().Inspect(key_id, Later(), std::move(done)); });
  }
  absl::StatusOr<Ciphertext> Encrypt(const std::string& key_id = "5") {
    return Await<Ciphertext>([&](auto done) {
      backend().Encrypt(Way::kEncrypts, key_id, Secret(AsBytes(kPlaintext)), Later(),
                        std::move(done));
    });
  }
  absl::StatusOr<std::string> Decrypt(Ciphertext record, const std::string& key_id = "5") {
    const auto secret = Await<Secret>([&](auto done) {
      backend().Decrypt(Way::kDecrypts, key_id, std::move(record), Later(), std::move(done));
    });
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
  // The last request, and the id in it.
  std::string LastBytes() const { return kms_.seen().back().bytes; }
  std::string LastId() const {
    const std::string bytes = LastBytes();
    return ToHex(Request::Decode(AsBytes(bytes))->front().batch_item_id);
  }

  FakeKms kms_{[](const Request&) { return Closed(); }};
  std::unique_ptr<IoLoop> loop_ = *IoLoop::Create();
  Traffic traffic_;
  Counters counters_{traffic_};
  std::unique_ptr<KmipBackend> backend_;
};

// ---- Locate

TEST_F(KmipBackendTest, LocateAsksForActiveSymmetricKeysOfThatName) {
  handler_ = [&](const Request& request) {
    const auto locate = LocateRequest::Read(request.payload);
    EXPECT_EQ(locate->name, "etcd");
    EXPECT_EQ(locate->object_type, ObjectType::kSymmetricKey);
    EXPECT_EQ(locate->state, State::kActive);
    return Success(request, LocateResponse{{"second", "first", "second"}});
  };
  const auto ids = Locate();
  ASSERT_THAT(ids, IsOk());
  EXPECT_THAT(*ids, ElementsAre("second", "first", "second"));  // as the KMS said
  EXPECT_THAT(Operations(), ElementsAre(Operation::kLocate));
}

TEST_F(KmipBackendTest, LocateOfALabelThatNoKeyHas) {
  handler_ = [&](const Request& request) { return Success(request, LocateResponse{}); };
  EXPECT_THAT(*Locate(), ElementsAre());
  handler_ = [&](const Request& request) { return Refusal(request, ResultReason::kItemNotFound); };
  EXPECT_THAT(*Locate(), ElementsAre());
}

TEST_F(KmipBackendTest, LocateOfAnEmptyId) {
  handler_ = [&](const Request& request) { return Success(request, LocateResponse{{"5", ""}}); };
  EXPECT_THAT(Locate(), StatusIs(kDataLoss, "KMIP Locate: an empty key id"));
}

TEST_F(KmipBackendTest, LocateAtAServerThatRejectsTheFilters) {
  for (const ResultReason reason : {ResultReason::kInvalidField, ResultReason::kInvalidMessage,
                                    ResultReason::kFeatureNotSupported,
                                    ResultReason::kGeneralFailure, ResultReason::kItemNotFound}) {
    kms_.Forget();
    handler_ = [&](const Request& request) {
      const auto locate = LocateRequest::Read(request.payload);
      EXPECT_EQ(locate->name, "etcd");
      return locate->object_type || locate->state ? Refusal(request, reason)
                                                  : Success(request, LocateResponse{{"5"}});
    };
    EXPECT_THAT(*Locate(), ElementsAre("5"));
    EXPECT_THAT(Operations(), ElementsAre(Operation::kLocate, Operation::kLocate));
  }
}

TEST_F(KmipBackendTest, LocateWithoutTheRight) {
  handler_ = [](const Request& request) {
    return Refusal(request, ResultReason::kPermissionDenied, "locate is not yours");
  };
  EXPECT_THAT(Locate(), StatusIs(absl::StatusCode::kPermissionDenied,
                                 "KMIP Locate refused: PermissionDenied: locate is not yours"));
  EXPECT_THAT(Operations(), ElementsAre(Operation::kLocate));
}

// ---- Inspect

GetAttributesResponse GoodKey(absl::string_view id = "5") {
  return {.unique_identifier = id,
          .object_type = ObjectType::kSymmetricKey,
          .state = State::kActive,
          .algorithm = CryptographicAlgorithm::kAes,
          .length = 256,
          .usage_mask = kUsageEncrypt | kUsageDecrypt,
          .names = {"etcd", "etcd-2"}};
}

class InspectTest : public KmipBackendTest {
 protected:
  InspectTest() {
    handler_ = [this](const Request& request) { return Success(request, attributes_); };
  }
  GetAttributesResponse attributes_ = GoodKey();
};

TEST_F(InspectTest, AsksForAllThatTells) {
  std::vector<std::string> names;
  handler_ = [&](const Request& request) {
    const auto read = GetAttributesRequest::Read(request.payload);
    EXPECT_EQ(read->unique_identifier, "5");
    for (const absl::string_view name : read->names) names.emplace_back(name);
    return Success(request, GoodKey());
  };
  const auto key = Inspect();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(WhyUnfit(*key), "");
  EXPECT_TRUE(IsSeenActive(*key));
  ASSERT_TRUE(key->labels.has_value());
  EXPECT_THAT(*key->labels, ElementsAre("etcd", "etcd-2"));
  EXPECT_THAT(Operations(), ElementsAre(Operation::kGetAttributes));
  EXPECT_THAT(names,
              UnorderedElementsAre("State", "Object Type", "Cryptographic Algorithm",
                                   "Cryptographic Length", "Cryptographic Usage Mask", "Name"));
}

struct UnfitKey {
  const char* name;
  void (*spoil)(GetAttributesResponse&);
  const char* why;
  bool active = true;
};

class UnfitKeyTest : public InspectTest, public ::testing::WithParamInterface<UnfitKey> {};
INSTANTIATE_TEST_SUITE_P(
    , UnfitKeyTest,
    ::testing::Values(
        UnfitKey{"NoSymmetricKey", [](auto& a) { a.object_type = ObjectType::kCertificate; },
                 "is no symmetric key (object type 1)"},
        UnfitKey{"PreActive", [](auto& a) { a.state = State::kPreActive; },
                 "is in state PreActive, not Active", false},
        UnfitKey{"Deactivated", [](auto& a) { a.state = State::kDeactivated; },
                 "is in state Deactivated, not Active", false},
        UnfitKey{"Destroyed", [](auto& a) { a.state = State::kDestroyed; },
                 "is in state Destroyed, not Active", false},
        UnfitKey{"UnknownState", [](auto& a) { a.state = static_cast<State>(9); },
                 "is in state 0x9, not Active", false},
        UnfitKey{"NotAes", [](auto& a) { a.algorithm = static_cast<CryptographicAlgorithm>(2); },
                 "is not an AES key (algorithm 2)"},
        UnfitKey{"OddLength", [](auto& a) { a.length = 512; },
                 "has 512 bits; AES has 128, 192 or 256"},
        UnfitKey{"DecryptOnly", [](auto& a) { a.usage_mask = kUsageDecrypt; },
                 "may not Encrypt by its usage mask"},
        UnfitKey{"EncryptOnly", [](auto& a) { a.usage_mask = kUsageEncrypt | 3; },
                 "may not Decrypt by its usage mask"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(UnfitKeyTest, IsShownWithItsReason) {
  GetParam().spoil(attributes_);
  const auto key = Inspect();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(WhyUnfit(*key), GetParam().why);
  EXPECT_EQ(IsSeenActive(*key), GetParam().active);
  EXPECT_TRUE(key->labels.has_value());
}

TEST_F(InspectTest, TakesEveryAesLengthAndFurtherUsages) {
  for (const int32_t length : {128, 192, 256}) {
    attributes_.length = length;
    attributes_.usage_mask = 0xFF;
    EXPECT_EQ(WhyUnfit(*Inspect()), "") << length;
  }
}

TEST_F(InspectTest, ReplyAboutAnotherKeyIsRefused) {
  attributes_.unique_identifier = "6";
  EXPECT_THAT(Inspect(),
              StatusIs(kDataLoss, "KMIP GetAttributes: the reply is about key 6, not 5"));
}

TEST_F(InspectTest, WhatTheServerLeavesOutIsNotHeldAgainstTheKey) {
  attributes_ = GetAttributesResponse();
  attributes_.unique_identifier = "5";
  const auto key = Inspect();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(WhyUnfit(*key), "");
  EXPECT_FALSE(IsSeenActive(*key));
  EXPECT_FALSE(key->labels.has_value());
}

TEST_F(InspectTest, ServerMayRefuseToShowTheNameAlone) {
  for (const ResultReason reason : {ResultReason::kPermissionDenied, ResultReason::kInvalidField,
                                    ResultReason::kGeneralFailure}) {
    handler_ = [=](const Request& request) {
      const auto names = GetAttributesRequest::Read(request.payload)->names;
      if (std::find(names.begin(), names.end(), "Name") != names.end()) {
        return Refusal(request, reason);
      }
      GetAttributesResponse answer = GoodKey();
      answer.names.clear();
      answer.state = State::kDeactivated;
      return Success(request, answer);
    };
    const auto key = Inspect();
    ASSERT_THAT(key, IsOk());
    EXPECT_EQ(WhyUnfit(*key), "is in state Deactivated, not Active");
    EXPECT_FALSE(key->labels.has_value());
  }
}

TEST_F(InspectTest, ServerMayRefuseToShowAttributes) {
  for (const ResultReason reason :
       {ResultReason::kPermissionDenied, ResultReason::kOperationNotSupported,
        ResultReason::kInvalidField, ResultReason::kGeneralFailure}) {
    handler_ = [=](const Request& request) { return Refusal(request, reason); };
    const auto key = Inspect();
    ASSERT_THAT(key, IsOk());
    EXPECT_EQ(WhyUnfit(*key), "");
    EXPECT_FALSE(IsSeenActive(*key));
    EXPECT_FALSE(key->labels.has_value());
  }
}

TEST_F(InspectTest, KeyThatDoesNotExist) {
  handler_ = [](const Request& request) {
    return Refusal(request, ResultReason::kItemNotFound, "gone");
  };
  EXPECT_THAT(Inspect(), StatusIs(absl::StatusCode::kNotFound,
                                  "KMIP GetAttributes refused: ItemNotFound: gone"));
}

TEST_F(InspectTest, UnknownClient) {
  handler_ = [](const Request& request) {
    return Refusal(request, ResultReason::kAuthenticationNotSuccessful, "who?");
  };
  EXPECT_THAT(Inspect(), StatusIs(absl::StatusCode::kUnauthenticated,
                                  "KMIP GetAttributes refused: AuthenticationNotSuccessful: who?"));
}

TEST_F(InspectTest, BrokenSessionIsNoRefusal) {
  handler_ = [](const Request&) { return Closed(); };
  EXPECT_THAT(Inspect(), StatusIs(absl::StatusCode::kUnavailable,
                                  "KMIP GetAttributes: kms: read: closed by the KMS"));
}

// ---- How ids compare

constexpr char kUuid[] = "0a1b2c3d-0000-4000-8000-00000000000f";
constexpr char kUuidInCapitals[] = "0A1B2C3D-0000-4000-8000-00000000000F";

TEST_F(KmipBackendTest, UuidInAnotherCaseIsTheSameKey) {
  handler_ = [](const Request& request) {
    switch (request.operation) {
      case Operation::kGetAttributes: return Success(request, GoodKey(kUuidInCapitals));
      case Operation::kEncrypt:
        return Success(request, EncryptResponse{.unique_identifier = kUuidInCapitals,
                                                .data = AsBytes(kData),
                                                .iv = {},
                                                .tag = AsBytes(kTag)});
      default: return Success(request, DecryptResponse{kUuidInCapitals, AsBytes(kPlaintext)});
    }
  };
  EXPECT_THAT(Inspect(kUuid), IsOk());
  EXPECT_THAT(Encrypt(kUuid), IsOk());
  EXPECT_EQ(*Decrypt(Record(), kUuid), kPlaintext);
}

TEST_F(KmipBackendTest, OtherIdsAreComparedByteForByte) {
  handler_ = [](const Request& request) { return Success(request, GoodKey("KEY")); };
  EXPECT_THAT(Inspect("key"), StatusIs(kDataLoss, ::testing::_));
}

// ---- Ways of their own, and the end of all

TEST_F(KmipBackendTest, NeitherChecksNorEncryptsWaitForDecrypts) {
  handler_ = [](const Request& request) {
    if (request.operation == Operation::kEncrypt) {
      return Refusal(request, ResultReason::kPermissionDenied);
    }
    if (request.operation == Operation::kDecrypt) return Hangs();
    return Success(request, LocateResponse{{"5"}});
  };
  std::vector<okms::test::Answer<Secret>> calls(100);  // of which most wait in the queue
  for (auto& call : calls) {
    backend().Decrypt(Way::kDecrypts, "5", Record(), Later(), call.Callback());
  }
  kms_.AwaitAsked(Operation::kDecrypt, 12);
  EXPECT_THAT(Encrypt(), StatusIs(absl::StatusCode::kPermissionDenied, ::testing::_));
  EXPECT_THAT(Locate(), IsOk());
  backend_.reset();
  for (auto& call : calls) {
    EXPECT_THAT(call.Get(), StatusIs(absl::StatusCode::kCancelled, ::testing::_));
  }
}

TEST_F(KmipBackendTest, AllWaysShareSessions) {
  handler_ = [](const Request& request) { return Success(request, LocateResponse{{"5"}}); };
  ASSERT_THAT(Locate(), IsOk());
  handler_ = [](const Request& request) {
    return Refusal(request, ResultReason::kPermissionDenied, "no");
  };
  EXPECT_THAT(Encrypt(), StatusIs(absl::StatusCode::kPermissionDenied, ::testing::_));
  EXPECT_EQ(kms_.dials(), 1);
  EXPECT_THAT(kms_.operations(),
              ElementsAre(Operation::kDiscoverVersions, Operation::kLocate, Operation::kEncrypt));
}

// A chain of calls goes on where an answer comes, in the loop's turn, while another thread ends it
// all.
TEST_F(KmipBackendTest, WhatIsAnsweredWhileItEndsMayAskAgain) {
  handler_ = [](const Request&) { return Closed(); };
  KmipBackend* const ended = &backend();
  std::promise<std::thread> ends;
  std::atomic<int> answered = 0;
  const int calls = 10'000;
  ended->Inspect("5", Later(), [&](const auto&) {
    ends.set_value(std::thread([this] { backend_.reset(); }));
    // This has the turn, so it is not over before.
    for (int i = 0; i < calls; ++i) {
      std::this_thread::yield();
      ended->Decrypt(Way::kDecrypts, "5", Record(), Later(), [&](const auto& result) {
        if (!result.ok()) ++answered;
      });
    }
  });
  ends.get_future().get().join();
  loop_->RunInTurn([] {});  // after the last of them
  EXPECT_EQ(answered, calls);
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

// What the Go plugin sends for the same input, without its time stamp and with an id of the batch
// item; that and the IV differ each time.
TEST_F(EncryptTest, SendsTheBytesOfTheGoPlugin) {
  const auto ciphertext = Encrypt();
  ASSERT_THAT(ciphertext, IsOk());
  const std::string iv = ciphertext->annotations.at("iv.okms.ovh.com");
  ASSERT_EQ(iv.size(), 12u);
  const std::string expected = FromHex(absl::StrCat(
      "42007801 00000108 42007701 00000038 42006901 00000020 42006a02 00000004 00000001 00000000"
      "42006b02 00000004 00000004 00000000 42000d02 00000004 00000001 00000000"
      "42000f01 000000c0 42005c05 00000004 0000001f 00000000 42009308 00000008",
      LastId(),
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
    KmipBackend backend(*loop_, std::make_unique<FakeConnector>(*loop_, kms), counters_, 16);
    const auto ciphertext = Await<Ciphertext>([&](auto done) {
      backend.Encrypt(Way::kEncrypts, "5", Secret(AsBytes(kPlaintext)), Later(), std::move(done));
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
  const std::string iv(16, 'i');
  reply_.iv = AsBytes(iv);
  EXPECT_THAT(Encrypt(),
              StatusIs(kDataLoss, "KMIP Encrypt: the KMS used an IV of 16 bytes, not 12"));
}

TEST_F(EncryptTest, EmptyIvOfTheServerIsNone) {
  std::string sent;
  handler_ = [&](const Request& request) {
    sent = std::string(AsText(*EncryptRequest::Read(request.payload)->iv));
    EncryptResponse reply = reply_;
    reply.iv = ByteView();
    return Success(request, reply);
  };
  const auto ciphertext = Encrypt();
  ASSERT_THAT(ciphertext, IsOk());
  EXPECT_EQ(ciphertext->annotations.at(kIvAnnotation), sent);
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
                      Place(*DecryptRequest::Read(request->front().payload)));
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
      "42007801 00000120 42007701 00000038 42006901 00000020 42006a02 00000004 00000001 00000000"
      "42006b02 00000004 00000004 00000000 42000d02 00000004 00000001 00000000"
      "42000f01 000000d8 42005c05 00000004 00000020 00000000 42009308 00000008",
      LastId(),
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
  EXPECT_EQ(DecryptRequest::Read(request->front().payload)->unique_identifier, "an older key");
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
