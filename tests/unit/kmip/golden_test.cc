// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Recorded KMIP exchanges of other implementations, which are not part of this repository: our
// codec must give back their bytes. One JSON object a line: "file", "n", "ops", and "request" and
// "response" in hexadecimal.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "kmip/message.h"
#include "kmip/operations.h"
#include "support/require.h"
#include "support/status_is.h"
#include "unit/hex.h"

namespace okms::kmip {
namespace {

using okms::test::FromHex;
using okms::test::IsOk;
using okms::test::ToHex;
using ttlv::Item;
using ttlv::Writer;

struct Exchange {
  std::string name;  // file and number
  std::string request;
  std::string response;
};

std::string GoldenPath() {
  const char* path = std::getenv("OKMS_GOLDEN_TTLV");
  return path != nullptr && *path != '\0' ? path : OKMS_GOLDEN_TTLV_DEFAULT;
}

const std::vector<Exchange>& Exchanges() {
  static const auto* const kExchanges = [] {
    auto* exchanges = new std::vector<Exchange>();  // lives as long as the program
    std::ifstream file(GoldenPath());
    for (std::string line; std::getline(file, line);) {
      const auto json = nlohmann::json::parse(line);
      exchanges->push_back(
          {absl::StrCat(json.at("file").get<std::string>(), " #", json.at("n").get<int>()),
           FromHex(json.at("request").get<std::string>()),
           FromHex(json.at("response").get<std::string>())});
    }
    return exchanges;
  }();
  return *kExchanges;
}

void Copy(const Item& item, Writer& writer) {
  if (item.type() != ttlv::Type::kStructure) {
    writer.Raw(item.tag(), item.type(), item.value());
    return;
  }
  writer.Structure(item.tag(), [&] {
    for (const Item child : item.children()) Copy(child, writer);
  });
}

TEST(Golden, EveryMessageIsReadAndWrittenToTheSameBytes) {
  for (const Exchange& exchange : Exchanges()) {
    for (const std::string* message : {&exchange.request, &exchange.response}) {
      const auto item = ttlv::Parse(AsBytes(*message));
      ASSERT_THAT(item, IsOk()) << exchange.name;
      Writer writer;
      Copy(*item, writer);
      ASSERT_EQ(ToHex(writer.Take()), ToHex(AsBytes(*message))) << exchange.name;
    }
  }
  EXPECT_GE(Exchanges().size(), 1000u);
}

// Whether each child has one of these tags.
bool HoldsOnly(const Item& structure, const std::set<ttlv::Tag>& tags) {
  for (const Item child : structure.children()) {
    if (tags.count(child.tag()) == 0) return false;
  }
  return true;
}

// The same for the Cryptographic Parameters within.
bool HasOurParameters(const Item& payload) {
  const auto parameters = payload.Find(tag::kCryptographicParameters);
  if (!parameters.ok()) return false;
  return !*parameters || HoldsOnly(**parameters, {tag::kBlockCipherMode, tag::kPaddingMethod,
                                                  tag::kCryptographicAlgorithm, tag::kRandomIv,
                                                  tag::kIvLength, tag::kTagLength});
}

// Whether each attribute is one of these, without an index, and once.
bool HasOurAttributes(const Item& payload, std::set<absl::string_view> names) {
  for (const Item child : payload.children()) {
    if (child.tag() != tag::kAttribute) continue;
    if (!HoldsOnly(child, {tag::kAttributeName, tag::kAttributeValue})) return false;
    if (names.erase(*child.Get(tag::kAttributeName)->AsText()) == 0) return false;
  }
  return true;
}

// The order in which we write the attributes of a reply; servers have orders of their own.
bool AttributesAreInOurOrder(const Item& payload) {
  std::vector<absl::string_view> rest = {
      attribute::kState, attribute::kObjectType, attribute::kCryptographicAlgorithm,
      attribute::kCryptographicLength, attribute::kCryptographicUsageMask};
  auto next = rest.begin();
  for (const Item child : payload.children()) {
    if (child.tag() != tag::kAttribute) continue;
    next = std::find(next, rest.end(), *child.Get(tag::kAttributeName)->AsText());
    if (next == rest.end()) return false;
    ++next;
  }
  return true;
}

// Whether the name is a text, the one type of name that we write.
bool IsPlainName(const Item& payload) {
  for (const Item child : payload.children()) {
    const absl::string_view name = *child.Get(tag::kAttributeName)->AsText();
    if (name != attribute::kName) continue;
    const Item value = *child.Get(tag::kAttributeValue);
    if (*value.Get(tag::kNameType)->AsEnumeration() != 1) return false;
  }
  return true;
}

template <typename Type>
std::optional<std::string> Rewritten(const Item& payload) {
  const auto read = Type::Read(payload);
  if (!read.ok()) return std::nullopt;
  Writer writer;
  read->Write(writer);
  return ToHex(writer.Take());
}

// One direction of an operation.
struct Side {
  std::set<ttlv::Tag> tags;               // the fields that our type has
  std::function<bool(const Item&)> fits;  // whether it holds all that is within those fields
  std::optional<std::string> (*rewrite)(const Item&);
  int at_least;  // payloads that must have fitted, so that the test cannot pass with none
};
struct Codec {
  Side request;
  Side response;
};

// The fields with these tags, in hexadecimal.
std::string Fields(const Item& payload, const std::set<ttlv::Tag>& tags) {
  Writer writer;
  for (const Item child : payload.children()) {
    if (tags.count(child.tag()) != 0) Copy(child, writer);
  }
  return ToHex(writer.Take());
}

const std::map<Operation, Codec>& Codecs() {
  static const auto* const kCodecs = [] {
    const auto anything = [](const Item&) { return true; };
    using namespace tag;  // NOLINT(google-build-using-namespace): a table of tags
    return new std::map<Operation, Codec>{
        {Operation::kDiscoverVersions,  // of which none are recorded
         {Side{{kProtocolVersion}, anything, Rewritten<DiscoverVersionsRequest>, 0},
          Side{{kProtocolVersion}, anything, Rewritten<DiscoverVersionsResponse>, 0}}},
        {Operation::kQuery,
         {Side{{kQueryFunction}, anything, Rewritten<QueryRequest>, 20},
          Side{{kOperation}, anything, Rewritten<QueryResponse>, 15}}},
        {Operation::kLocate,
         {Side{{kAttribute},
               [](const Item& payload) {
                 return HasOurAttributes(payload, {attribute::kName}) && IsPlainName(payload);
               },
               Rewritten<LocateRequest>,
               15},
          Side{{kUniqueIdentifier}, anything, Rewritten<LocateResponse>, 100}}},
        {Operation::kGetAttributes,
         {Side{{kUniqueIdentifier, kAttributeName}, anything, Rewritten<GetAttributesRequest>, 200},
          Side{{kUniqueIdentifier, kAttribute},
               [](const Item& payload) {
                 return HasOurAttributes(payload, {attribute::kState, attribute::kObjectType,
                                                   attribute::kCryptographicAlgorithm,
                                                   attribute::kCryptographicLength,
                                                   attribute::kCryptographicUsageMask}) &&
                        AttributesAreInOurOrder(payload);
               },
               Rewritten<GetAttributesResponse>,
               100}}},
        {Operation::kEncrypt,
         {Side{{kUniqueIdentifier, kCryptographicParameters, kData, kIvCounterNonce,
                kAuthenticatedEncryptionAdditionalData},
               HasOurParameters,
               Rewritten<EncryptRequest>,
               50},
          Side{{kUniqueIdentifier, kData, kIvCounterNonce, kAuthenticatedEncryptionTag},
               anything,
               Rewritten<EncryptResponse>,
               50}}},
        {Operation::kDecrypt,
         {Side{{kUniqueIdentifier, kCryptographicParameters, kData, kIvCounterNonce,
                kAuthenticatedEncryptionAdditionalData, kAuthenticatedEncryptionTag},
               HasOurParameters,
               Rewritten<DecryptRequest>,
               50},
          Side{{kUniqueIdentifier, kData}, anything, Rewritten<DecryptResponse>, 45}}},
    };
  }();
  return *kCodecs;
}

TEST(Golden, RequestsOfOurOperationsAreReadAndWrittenToTheSameBytes) {
  std::map<Operation, int> fitted;
  int whole = 0;
  for (const Exchange& exchange : Exchanges()) {
    const auto requests = Request::Decode(AsBytes(exchange.request));
    ASSERT_THAT(requests, IsOk()) << exchange.name;
    if (requests->size() > 1) continue;  // with operations that we do not ask for
    const Request& request = requests->front();
    const auto codec = Codecs().find(request.operation);
    if (codec == Codecs().end() || !codec->second.request.fits(request.payload)) continue;
    ++fitted[request.operation];
    const auto rewritten = codec->second.request.rewrite(request.payload);
    ASSERT_TRUE(rewritten.has_value()) << exchange.name;
    ASSERT_EQ(*rewritten, Fields(request.payload, codec->second.request.tags)) << exchange.name;

    const Item message = *ttlv::Parse(AsBytes(exchange.request));
    const Item header = *message.Get(tag::kRequestHeader);
    const Item item = *message.Get(tag::kBatchItem);
    if (!HoldsOnly(header, {tag::kProtocolVersion, tag::kBatchCount}) ||
        !HoldsOnly(item, {tag::kOperation, tag::kUniqueBatchItemId, tag::kRequestPayload})) {
      continue;
    }
    ++whole;
    const auto copy = [&](Writer& writer) {
      for (const Item child : request.payload.children()) Copy(child, writer);
    };
    const RequestItem ours{request.operation, request.batch_item_id, copy};
    const WipedBytes encoded = Request::Encode(request.version, {&ours, 1});
    ASSERT_EQ(ToHex(encoded), ToHex(AsBytes(exchange.request))) << exchange.name;
  }
  for (const auto& [operation, codec] : Codecs()) {
    EXPECT_GE(fitted[operation], codec.request.at_least) << ToString(operation);
  }
  EXPECT_GE(whole, 300);
}

TEST(Golden, ResponsesToOurOperationsAreReadAndWrittenToTheSameBytes) {
  std::map<Operation, int> fitted;
  std::map<ResultStatus, int> statuses;
  for (const Exchange& exchange : Exchanges()) {
    const auto responses = Response::Decode(AsBytes(exchange.response));
    ASSERT_THAT(responses, IsOk()) << exchange.name;
    for (const Response& response : *responses) {
      ++statuses[response.status];
      if (!response.operation || !response.payload || response.status != ResultStatus::kSuccess) {
        continue;
      }
      const auto codec = Codecs().find(*response.operation);
      if (codec == Codecs().end()) continue;
      const auto payload = response.Payload(*response.operation);
      ASSERT_THAT(payload, IsOk()) << exchange.name;
      // Our reader takes all of them, also where it leaves fields alone.
      const auto rewritten = codec->second.response.rewrite(*payload);
      ASSERT_TRUE(rewritten.has_value()) << exchange.name;
      if (!codec->second.response.fits(*payload)) continue;
      ++fitted[*response.operation];
      ASSERT_EQ(*rewritten, Fields(*payload, codec->second.response.tags)) << exchange.name;
    }
  }
  for (const auto& [operation, codec] : Codecs()) {
    EXPECT_GE(fitted[operation], codec.response.at_least) << ToString(operation);
  }
  EXPECT_GE(statuses[ResultStatus::kSuccess], 1000);
  EXPECT_GE(statuses[ResultStatus::kFailed], 40);
}

// A failure has a reason and perhaps words, and no payload that we would take for an answer.
TEST(Golden, FailuresAreRefusals) {
  int failures = 0;
  for (const Exchange& exchange : Exchanges()) {
    const auto responses = Response::Decode(AsBytes(exchange.response));
    ASSERT_THAT(responses, IsOk()) << exchange.name;
    for (const Response& response : *responses) {
      if (response.status != ResultStatus::kFailed) continue;
      ++failures;
      const auto payload = response.Payload(Operation::kEncrypt);
      EXPECT_FALSE(payload.ok()) << exchange.name;
      EXPECT_NE(payload.status().code(), absl::StatusCode::kDataLoss) << exchange.name;
      EXPECT_NE(response.reason, ResultReason::kNone) << exchange.name;
    }
  }
  EXPECT_GE(failures, 40);
}

}  // namespace
}  // namespace okms::kmip

int main(int argc, char** argv) {
  constexpr int kSkipped = 77;
  ::testing::InitGoogleTest(&argc, argv);
  const std::string path = okms::kmip::GoldenPath();
  if (!std::ifstream(path).good()) {
    const bool required = okms::test::AllIsRequired();
    std::printf(
        "%s: the recorded KMIP exchanges are not at %s; OKMS_GOLDEN_TTLV may name another "
        "place\n",
        required ? "failed" : "skipped", path.c_str());
    return required ? 1 : kSkipped;
  }
  return RUN_ALL_TESTS();
}
