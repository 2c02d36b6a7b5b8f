// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/operations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "support/status_is.h"
#include "unit/hex.h"

namespace okms::kmip {
namespace {

using test::FromHex;
using test::IsOk;
using test::StatusIs;
using test::ToHex;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ttlv::Writer;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;

// A payload structure in a buffer of its own.
class Payload {
 public:
  explicit Payload(const std::function<void(Writer&)>& fill) {
    Writer writer;
    writer.Structure(tag::kRequestPayload, [&] { fill(writer); });
    bytes_ = writer.Take();
  }
  template <typename T>
  static Payload Of(const T& operation) {
    return Payload([&](Writer& writer) { operation.Write(writer); });
  }
  ttlv::Item item() const { return *ttlv::Parse(bytes_); }
  // What stands inside, in hexadecimal.
  std::string Hex() const { return ToHex(ByteView(bytes_).subspan(ttlv::kHeaderSize)); }

 private:
  WipedBytes bytes_;
};

std::string Compact(const std::string& hex) { return ToHex(AsBytes(FromHex(hex))); }

// A payload with these fields plus some that no one knows, before and after.
template <typename T>
Payload WithStrangers(const T& operation) {
  return Payload([&](Writer& writer) {
    writer.Text(0x540001, "a vendor's");
    operation.Write(writer);
    writer.Structure(0x4200F8, [&] { writer.Integer(0x420001, 1); });
  });
}

TEST(DiscoverVersions, RequestBothWays) {
  const Payload payload = Payload::Of(DiscoverVersionsRequest{{{1, 4}, {1, 2}}});
  EXPECT_EQ(payload.Hex(), Compact("42006901 00000020 42006a02 00000004 00000001 00000000"
                                   "                  42006b02 00000004 00000004 00000000"
                                   "42006901 00000020 42006a02 00000004 00000001 00000000"
                                   "                  42006b02 00000004 00000002 00000000"));
  const auto request = DiscoverVersionsRequest::Read(payload.item());
  ASSERT_THAT(request, IsOk());
  EXPECT_THAT(request->versions, ElementsAre(ProtocolVersion{1, 4}, ProtocolVersion{1, 2}));
}

TEST(DiscoverVersions, ResponseBothWays) {
  const DiscoverVersionsResponse response{{{1, 0}, {2, 1}}};
  const Payload payload = WithStrangers(response);
  const auto back = DiscoverVersionsResponse::Read(payload.item());
  ASSERT_THAT(back, IsOk());
  EXPECT_THAT(back->versions, ElementsAre(ProtocolVersion{1, 0}, ProtocolVersion{2, 1}));
  EXPECT_THAT(DiscoverVersionsResponse::Read(Payload([](Writer&) {}).item())->versions, IsEmpty());
}

TEST(DiscoverVersions, RefusesAVersionWithoutItsParts) {
  const Payload payload([](Writer& w) {
    w.Structure(tag::kProtocolVersion, [&] { w.Integer(tag::kProtocolVersionMajor, 1); });
  });
  EXPECT_THAT(DiscoverVersionsResponse::Read(payload.item()),
              StatusIs(kDataLoss, "malformed TTLV: item 0x42006b is missing in 0x420069"));
}

TEST(Query, RequestBothWays) {
  const Payload payload = Payload::Of(QueryRequest{{QueryFunction::kOperations}});
  EXPECT_EQ(payload.Hex(), Compact("42007405 00000004 00000001 00000000"));
  const auto request = QueryRequest::Read(payload.item());
  ASSERT_THAT(request, IsOk());
  EXPECT_THAT(request->functions, ElementsAre(QueryFunction::kOperations));
}

TEST(Query, ResponseBothWays) {
  const Payload payload = WithStrangers(QueryResponse{{Operation::kEncrypt, Operation::kDecrypt}});
  const auto response = QueryResponse::Read(payload.item());
  ASSERT_THAT(response, IsOk());
  EXPECT_THAT(response->operations, ElementsAre(Operation::kEncrypt, Operation::kDecrypt));
}

TEST(Query, RefusesAnOperationThatIsNoEnumeration) {
  const Payload payload([](Writer& w) { w.Integer(tag::kOperation, 8); });
  EXPECT_THAT(QueryResponse::Read(payload.item()),
              StatusIs(kDataLoss, "malformed TTLV: item 0x42005c has type 2, expected 5"));
}

TEST(Locate, RequestByNameIsThatOfTheGoPlugin) {
  const Payload payload = Payload::Of(LocateRequest{"0123456789abcdef", {}, {}});
  EXPECT_EQ(payload.Hex(),
            Compact("42000801 00000040 42000a07 00000004 4e616d6500000000"
                    " 42000b01 00000028 42005507 00000010 30313233343536373839616263646566"
                    "  42005405 00000004 0000000100000000"));
}

TEST(Locate, RequestBothWays) {
  const LocateRequest request{"etcd", ObjectType::kSymmetricKey, State::kActive};
  const Payload payload = Payload::Of(request);
  const auto back = LocateRequest::Read(payload.item());
  ASSERT_THAT(back, IsOk());
  EXPECT_EQ(back->name, "etcd");
  EXPECT_EQ(back->object_type, ObjectType::kSymmetricKey);
  EXPECT_EQ(back->state, State::kActive);
}

TEST(Locate, RequestWithoutFiltersIsEmpty) {
  const Payload payload = Payload::Of(LocateRequest{});
  EXPECT_EQ(payload.Hex(), "");
  const auto request = LocateRequest::Read(payload.item());
  ASSERT_THAT(request, IsOk());
  EXPECT_EQ(request->name, std::nullopt);
  EXPECT_EQ(request->object_type, std::nullopt);
  EXPECT_EQ(request->state, std::nullopt);
}

TEST(Locate, RequestByAnotherAttributeCannotBeRead) {
  const Payload payload([](Writer& w) {
    w.Structure(tag::kAttribute, [&] {
      w.Text(tag::kAttributeName, "x-Team\n");
      w.Text(tag::kAttributeValue, "blue");
    });
  });
  EXPECT_THAT(LocateRequest::Read(payload.item()),
              StatusIs(kDataLoss, "Locate by \"x-Team?\" is unknown"));
}

TEST(Locate, ResponseBothWays) {
  const Payload payload = WithStrangers(LocateResponse{{"a", "b", ""}});
  const auto response = LocateResponse::Read(payload.item());
  ASSERT_THAT(response, IsOk());
  EXPECT_THAT(response->unique_identifiers, ElementsAre("a", "b", ""));
  EXPECT_THAT(LocateResponse::Read(Payload([](Writer&) {}).item())->unique_identifiers, IsEmpty());
}

TEST(Locate, RefusesAnIdThatIsNoText) {
  const Payload payload([](Writer& w) { w.Integer(tag::kUniqueIdentifier, 5); });
  EXPECT_THAT(LocateResponse::Read(payload.item()),
              StatusIs(kDataLoss, "malformed TTLV: item 0x420094 has type 2, expected 7"));
}

TEST(GetAttributes, RequestBothWays) {
  const Payload payload = Payload::Of(GetAttributesRequest{"5", {"State", "Object Type"}});
  EXPECT_EQ(payload.Hex(), Compact("42009407 00000001 3500000000000000"
                                   "42000a07 00000005 5374617465000000"
                                   "42000a07 0000000b 4f626a65637420547970650000000000"));
  const auto request = GetAttributesRequest::Read(payload.item());
  ASSERT_THAT(request, IsOk());
  EXPECT_EQ(request->unique_identifier, "5");
  EXPECT_THAT(request->names, ElementsAre("State", "Object Type"));
}

TEST(GetAttributes, ResponseBothWays) {
  const Payload payload =
      WithStrangers(GetAttributesResponse{.unique_identifier = "5",
                                          .object_type = ObjectType::kSymmetricKey,
                                          .state = State::kDeactivated,
                                          .algorithm = CryptographicAlgorithm::kAes,
                                          .length = 256,
                                          .usage_mask = 12});
  const auto response = GetAttributesResponse::Read(payload.item());
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->unique_identifier, "5");
  EXPECT_EQ(response->object_type, ObjectType::kSymmetricKey);
  EXPECT_EQ(response->state, State::kDeactivated);
  EXPECT_EQ(response->algorithm, CryptographicAlgorithm::kAes);
  EXPECT_EQ(response->length, 256);
  EXPECT_EQ(response->usage_mask, 12);
}

TEST(GetAttributes, ResponseMayLeaveEverythingOutButTheId) {
  GetAttributesResponse only_id;
  only_id.unique_identifier = "5";
  const Payload payload = Payload::Of(only_id);
  const auto response = GetAttributesResponse::Read(payload.item());
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->object_type, std::nullopt);
  EXPECT_EQ(response->state, std::nullopt);
  EXPECT_EQ(response->algorithm, std::nullopt);
  EXPECT_EQ(response->length, std::nullopt);
  EXPECT_EQ(response->usage_mask, std::nullopt);
  EXPECT_THAT(GetAttributesResponse::Read(Payload([](Writer&) {}).item()),
              StatusIs(kDataLoss, "malformed TTLV: item 0x420094 is missing in 0x420079"));
}

// A server adds an index, and attributes that were not asked for, in any order.
TEST(GetAttributes, ResponseWithIndexAndOtherAttributes) {
  const Payload payload([](Writer& w) {
    w.Structure(tag::kAttribute, [&] {
      w.Text(tag::kAttributeName, "Initial Date");
      w.DateTime(tag::kAttributeValue, 1);
    });
    w.Structure(tag::kAttribute, [&] {
      w.Text(tag::kAttributeName, "State");
      w.Integer(tag::kAttributeIndex, 0);
      w.Enumeration(tag::kAttributeValue, 2);
    });
    w.Text(tag::kUniqueIdentifier, "5");
  });
  const auto response = GetAttributesResponse::Read(payload.item());
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->state, State::kActive);
}

TEST(GetAttributes, RefusesAnAttributeOfTheWrongShape) {
  const auto read = [](const std::function<void(Writer&)>& attribute) {
    const Payload payload([&](Writer& w) {
      w.Text(tag::kUniqueIdentifier, "5");
      w.Structure(tag::kAttribute, [&] { attribute(w); });
    });
    return GetAttributesResponse::Read(payload.item()).status();
  };
  EXPECT_THAT(read([](Writer& w) {
                w.Text(tag::kAttributeName, "State");
                w.Integer(tag::kAttributeValue, 2);
              }),
              StatusIs(kDataLoss, "malformed TTLV: item 0x42000b has type 2, expected 5"));
  EXPECT_THAT(read([](Writer& w) {
                w.Text(tag::kAttributeName, "Cryptographic Usage Mask");
                w.Enumeration(tag::kAttributeValue, 12);
              }),
              StatusIs(kDataLoss, "malformed TTLV: item 0x42000b has type 5, expected 2"));
  EXPECT_THAT(read([](Writer& w) { w.Text(tag::kAttributeName, "State"); }),
              StatusIs(kDataLoss, "malformed TTLV: item 0x42000b is missing in 0x420008"));
  EXPECT_THAT(read([](Writer& w) { w.Integer(tag::kAttributeValue, 2); }),
              StatusIs(kDataLoss, "malformed TTLV: item 0x42000a is missing in 0x420008"));
}

// The same attribute twice: nobody knows which counts.
TEST(GetAttributes, RefusesTheSameAttributeTwice) {
  const Payload payload([&](Writer& w) {
    w.Text(tag::kUniqueIdentifier, "5");
    for (const uint32_t state : {3u, 2u}) {
      w.Structure(tag::kAttribute, [&] {
        w.Text(tag::kAttributeName, "State");
        w.Enumeration(tag::kAttributeValue, state);
      });
    }
  });
  EXPECT_THAT(GetAttributesResponse::Read(payload.item()),
              StatusIs(kDataLoss, "attribute \"State\" comes twice"));
}

CryptographicParameters AesGcm() {
  return {.block_cipher_mode = BlockCipherMode::kGcm,
          .padding_method = {},
          .algorithm = CryptographicAlgorithm::kAes,
          .random_iv = {},
          .iv_length = 12,
          .tag_length = 16};
}

constexpr char kAesGcmHex[] =
    "42002b01 00000040 42001105 00000004 00000009 00000000 42002805 00000004 00000003 00000000"
    " 4200cd02 00000004 0000000c 00000000 4200ce02 00000004 00000010 00000000";

// Captured from the Go plugin.
constexpr char kGoEncryptHex[] =
    "4200c208 00000020 3031323334353637383961626364656630313233343536373839616263646566"
    " 42003d08 0000000c 0aedbc5ed146d1c45a5488f6 00000000";

TEST(Encrypt, RequestIsThatOfTheGoPlugin) {
  const std::string iv = FromHex("0aedbc5ed146d1c45a5488f6");
  const Payload payload =
      Payload::Of(EncryptRequest{.unique_identifier = "5",
                                 .parameters = AesGcm(),
                                 .data = AsBytes("0123456789abcdef0123456789abcdef"),
                                 .iv = AsBytes(iv),
                                 .additional_data = {}});
  EXPECT_EQ(payload.Hex(), Compact(std::string("42009407 00000001 3500000000000000") + kAesGcmHex +
                                   kGoEncryptHex));
}

TEST(Encrypt, RequestBothWays) {
  const EncryptRequest request{
      .unique_identifier = "5",
      .parameters = CryptographicParameters{.block_cipher_mode = BlockCipherMode::kGcm,
                                            .padding_method = 3,
                                            .algorithm = CryptographicAlgorithm::kAes,
                                            .random_iv = true,
                                            .iv_length = 12,
                                            .tag_length = 16},
      .data = AsBytes("data"),
      .iv = AsBytes("iv"),
      .additional_data = AsBytes("aad")};
  const Payload payload = WithStrangers(request);
  const auto back = EncryptRequest::Read(payload.item());
  ASSERT_THAT(back, IsOk());
  EXPECT_EQ(back->unique_identifier, "5");
  ASSERT_TRUE(back->parameters.has_value());
  EXPECT_EQ(back->parameters->block_cipher_mode, BlockCipherMode::kGcm);
  EXPECT_EQ(back->parameters->padding_method, 3u);
  EXPECT_EQ(back->parameters->algorithm, CryptographicAlgorithm::kAes);
  EXPECT_EQ(back->parameters->random_iv, true);
  EXPECT_EQ(back->parameters->iv_length, 12);
  EXPECT_EQ(back->parameters->tag_length, 16);
  EXPECT_EQ(AsText(*back->data), "data");
  EXPECT_EQ(AsText(*back->iv), "iv");
  EXPECT_EQ(AsText(*back->additional_data), "aad");
}

TEST(Encrypt, AbsentAndEmptyAreNotTheSame) {
  EXPECT_EQ(Payload::Of(EncryptRequest{}).Hex(), "");
  const Payload payload = Payload::Of(EncryptRequest{.unique_identifier = {},
                                                     .parameters = {},
                                                     .data = ByteView(),
                                                     .iv = {},
                                                     .additional_data = {}});
  EXPECT_EQ(payload.Hex(), Compact("4200c208 00000000"));
  const auto back = EncryptRequest::Read(payload.item());
  ASSERT_THAT(back, IsOk());
  EXPECT_TRUE(back->data.has_value());
  EXPECT_FALSE(back->iv.has_value());
}

TEST(Encrypt, ResponseBothWays) {
  const Payload payload = WithStrangers(EncryptResponse{.unique_identifier = "5",
                                                        .data = AsBytes("data"),
                                                        .iv = AsBytes("iv"),
                                                        .tag = AsBytes("tag")});
  const auto back = EncryptResponse::Read(payload.item());
  ASSERT_THAT(back, IsOk());
  EXPECT_EQ(back->unique_identifier, "5");
  EXPECT_EQ(AsText(*back->data), "data");
  EXPECT_EQ(AsText(*back->iv), "iv");
  EXPECT_EQ(AsText(*back->tag), "tag");
}

TEST(Encrypt, RefusesDataGivenTwiceOrAsText) {
  EXPECT_THAT(
      EncryptResponse::Read(Payload([](Writer& w) {
                              w.Bytes(tag::kData, AsBytes("one"));
                              w.Bytes(tag::kData, AsBytes("two"));
                            }).item()),
      StatusIs(kDataLoss, "malformed TTLV: item 0x4200c2 occurs more than once in 0x420079"));
  EXPECT_THAT(EncryptResponse::Read(Payload([](Writer& w) { w.Text(tag::kData, "x"); }).item()),
              StatusIs(kDataLoss, "malformed TTLV: item 0x4200c2 has type 7, expected 8"));
}

TEST(Encrypt, RefusesParametersThatAreNoStructure) {
  EXPECT_THAT(EncryptRequest::Read(
                  Payload([](Writer& w) { w.Integer(tag::kCryptographicParameters, 1); }).item()),
              StatusIs(kDataLoss, "malformed TTLV: item 0x42002b has type 2, expected 1"));
}

TEST(Decrypt, RequestPutsTheTagLast) {
  const Payload payload = Payload::Of(DecryptRequest{.unique_identifier = "5",
                                                     .parameters = AesGcm(),
                                                     .data = AsBytes("12345678"),
                                                     .iv = AsBytes("abcdefgh"),
                                                     .additional_data = AsBytes("A"),
                                                     .tag = AsBytes("0123456789abcdef")});
  EXPECT_EQ(payload.Hex(),
            Compact(std::string("42009407 00000001 3500000000000000") + kAesGcmHex +
                    "4200c208 00000008 3132333435363738 42003d08 00000008 6162636465666768"
                    "4200fe08 00000001 4100000000000000"
                    "4200ff08 00000010 30313233343536373839616263646566"));
}

TEST(Decrypt, RequestBothWays) {
  const Payload payload = WithStrangers(DecryptRequest{.unique_identifier = "5",
                                                       .parameters = AesGcm(),
                                                       .data = AsBytes("data"),
                                                       .iv = AsBytes("iv"),
                                                       .additional_data = AsBytes("aad"),
                                                       .tag = AsBytes("tag")});
  const auto back = DecryptRequest::Read(payload.item());
  ASSERT_THAT(back, IsOk());
  EXPECT_EQ(back->unique_identifier, "5");
  EXPECT_EQ(back->parameters->tag_length, 16);
  EXPECT_EQ(AsText(*back->data), "data");
  EXPECT_EQ(AsText(*back->iv), "iv");
  EXPECT_EQ(AsText(*back->additional_data), "aad");
  EXPECT_EQ(AsText(*back->tag), "tag");
}

TEST(Decrypt, ResponseBothWays) {
  const Payload payload =
      WithStrangers(DecryptResponse{.unique_identifier = "5", .data = AsBytes("data")});
  const auto back = DecryptResponse::Read(payload.item());
  ASSERT_THAT(back, IsOk());
  EXPECT_EQ(back->unique_identifier, "5");
  EXPECT_EQ(AsText(*back->data), "data");
}

}  // namespace
}  // namespace okms::kmip
