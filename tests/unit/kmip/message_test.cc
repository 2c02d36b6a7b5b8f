// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"
#include "unit/hex.h"

namespace okms::kmip {
namespace {

using test::FromHex;
using test::IsOk;
using test::StatusIs;
using test::ToHex;
using ttlv::Writer;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr ProtocolVersion kV14{1, 4};

using Fill = std::function<void(Writer&)>;

void Nothing(Writer&) {}

// A response whose parts a test can leave out, repeat or replace.
struct Shape {
  ttlv::Tag root = tag::kResponseMessage;
  Fill header = [](Writer& w) {
    kV14.Write(w);
    w.DateTime(tag::kTimeStamp, 0);
    w.Integer(tag::kBatchCount, 1);
  };
  Fill item = [](Writer& w) {
    w.Enumeration(tag::kOperation, 0x1F);
    w.Enumeration(tag::kResultStatus, 0);
    w.Structure(tag::kResponsePayload, [&] { w.Text(tag::kUniqueIdentifier, "5"); });
  };
  int items = 1;
  bool header_first = true;

  WipedBytes Bytes() const {
    Writer writer;
    const auto put_header = [&] {
      writer.Structure(root == tag::kRequestMessage ? tag::kRequestHeader : tag::kResponseHeader,
                       [&] { header(writer); });
    };
    writer.Structure(root, [&] {
      if (header_first) put_header();
      for (int i = 0; i < items; ++i) writer.Structure(tag::kBatchItem, [&] { item(writer); });
      if (!header_first) put_header();
    });
    return writer.Take();
  }
};

absl::Status DecodeStatus(const Shape& shape) { return Response::Decode(shape.Bytes()).status(); }

// A header with this version and count.
Fill Header(ProtocolVersion version, int32_t count = 1) {
  return [=](Writer& w) {
    version.Write(w);
    w.Integer(tag::kBatchCount, count);
  };
}

TEST(RequestEncode, HoldsVersionCountOperationAndPayloadOnly) {
  const WipedBytes bytes = Request::Encode(
      {1, 1}, {Operation::kQuery, {}, [](Writer& w) { w.Enumeration(tag::kQueryFunction, 1); }});
  EXPECT_EQ(ToHex(bytes),
            ToHex(AsBytes(FromHex("42007801 00000070"
                                  " 42007701 00000038"
                                  "  42006901 00000020 42006a02 00000004 0000000100000000"
                                  "   42006b02 00000004 0000000100000000"
                                  "  42000d02 00000004 0000000100000000"
                                  " 42000f01 00000028"
                                  "  42005c05 00000004 0000001800000000"
                                  "  42007901 00000010 42007405 00000004 0000000100000000"))));
}

TEST(RequestDecode, GivesBackWhatWasEncoded) {
  const WipedBytes bytes =
      Request::Encode({1, 3}, {Operation::kLocate, AsBytes("its id"),
                               [](Writer& w) { w.Text(tag::kUniqueIdentifier, "x"); }});
  const auto request = Request::Decode(bytes);
  ASSERT_THAT(request, IsOk());
  EXPECT_EQ(request->version, (ProtocolVersion{1, 3}));
  EXPECT_EQ(request->operation, Operation::kLocate);
  EXPECT_EQ(AsText(request->batch_item_id), "its id");
  EXPECT_EQ(*request->payload.Get(tag::kUniqueIdentifier)->AsText(), "x");
}

TEST(RequestDecode, RefusesAResponse) {
  EXPECT_THAT(
      Request::Decode(Shape().Bytes()),
      StatusIs(kDataLoss, "not the expected KMIP message: tag 0x42007b instead of 0x420078"));
}

TEST(RequestDecode, NeedsOperationAndPayload) {
  Shape shape{.root = tag::kRequestMessage};
  shape.item = [](Writer& w) { w.Structure(tag::kRequestPayload, [] {}); };
  EXPECT_THAT(Request::Decode(shape.Bytes()),
              StatusIs(kDataLoss, "malformed TTLV: item 0x42005c is missing in 0x42000f"));
  shape.item = [](Writer& w) { w.Enumeration(tag::kOperation, 8); };
  EXPECT_THAT(Request::Decode(shape.Bytes()),
              StatusIs(kDataLoss, "malformed TTLV: item 0x420079 is missing in 0x42000f"));
  shape.item = [](Writer& w) {
    w.Enumeration(tag::kOperation, 8);
    w.Text(tag::kRequestPayload, "");
  };
  EXPECT_THAT(Request::Decode(shape.Bytes()),
              StatusIs(kDataLoss, "malformed TTLV: item 0x420079 has type 7, expected 1"));
}

TEST(ResponseDecode, GivesBackASuccess) {
  const WipedBytes bytes =
      Response::Encode({.version = kV14,
                        .operation = Operation::kEncrypt,
                        .status = ResultStatus::kSuccess,
                        .reason = ResultReason::kNone,
                        .message = {},
                        .payload = {}},
                       1700000000, [](Writer& w) { w.Text(tag::kUniqueIdentifier, "5"); });
  const auto response = Response::Decode(bytes);
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->version, kV14);
  EXPECT_EQ(response->operation, Operation::kEncrypt);
  EXPECT_EQ(response->status, ResultStatus::kSuccess);
  EXPECT_EQ(response->reason, ResultReason::kNone);
  EXPECT_EQ(response->message, "");
  const auto payload = response->Payload(Operation::kEncrypt);
  ASSERT_THAT(payload, IsOk());
  EXPECT_EQ(*payload->Get(tag::kUniqueIdentifier)->AsText(), "5");
}

TEST(ResponseDecode, GivesBackAFailureWithoutAPayload) {
  const Response failure{.version = {1, 2},
                         .operation = Operation::kDecrypt,
                         .status = ResultStatus::kFailed,
                         .reason = ResultReason::kPermissionDenied,
                         .message = "not yours",
                         .payload = {}};
  const WipedBytes bytes =
      Response::Encode(failure, 0, [](Writer&) { ADD_FAILURE() << "a payload for a failure"; });
  const auto response = Response::Decode(bytes);
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->version, (ProtocolVersion{1, 2}));
  EXPECT_EQ(response->operation, Operation::kDecrypt);
  EXPECT_EQ(response->status, ResultStatus::kFailed);
  EXPECT_EQ(response->reason, ResultReason::kPermissionDenied);
  EXPECT_EQ(response->message, "not yours");
  EXPECT_FALSE(response->payload.has_value());
}

TEST(ResponseDecode, IgnoresWhatItDoesNotKnow) {
  Shape shape;
  shape.header = [](Writer& w) {
    kV14.Write(w);
    w.DateTime(tag::kTimeStamp, 0);
    w.Text(0x420105, "correlation");
    w.Integer(tag::kBatchCount, 1);
    w.Text(0x540001, "a vendor's");
  };
  shape.item = [](Writer& w) {
    w.Enumeration(tag::kOperation, 0x1F);
    w.Text(0x540002, "a vendor's");
    w.Enumeration(tag::kResultStatus, 0);
    w.Structure(tag::kResponsePayload, [] {});
    w.Structure(0x420051, [] {});
  };
  EXPECT_THAT(Response::Decode(shape.Bytes()), IsOk());
}

TEST(ResponseDecode, RefusesARequest) {
  EXPECT_THAT(
      DecodeStatus({.root = tag::kRequestMessage}),
      StatusIs(kDataLoss, "not the expected KMIP message: tag 0x420078 instead of 0x42007b"));
}

TEST(ResponseDecode, RefusesAMessageThatIsNoStructure) {
  const std::string bytes = FromHex("42007b08 00000000");
  EXPECT_THAT(Response::Decode(AsBytes(bytes)),
              StatusIs(kDataLoss, "KMIP message without a header"));
}

TEST(ResponseDecode, RefusesBytesThatAreNoTtlv) {
  EXPECT_THAT(Response::Decode(AsBytes("HTTP/1.1")),
              StatusIs(kDataLoss, ::testing::StartsWith("malformed TTLV: ")));
}

TEST(ResponseDecode, NeedsTheHeaderFirst) {
  EXPECT_THAT(DecodeStatus({.header_first = false}),
              StatusIs(kDataLoss, "KMIP message out of order: the header does not come first"));
  Writer empty;
  empty.Structure(tag::kResponseMessage, [] {});
  EXPECT_THAT(Response::Decode(empty.Take()), StatusIs(kDataLoss, "KMIP message without a header"));
}

TEST(ResponseDecode, NeedsExactlyOneItemCountedAsOne) {
  const struct {
    int items;
    int32_t count;
  } cases[] = {{0, 0}, {0, 1}, {2, 1}, {2, 2}, {1, 2}, {1, 0}, {1, -1}};
  for (const auto& [items, count] : cases) {
    EXPECT_THAT(
        DecodeStatus({.header = Header(kV14, count), .items = items}),
        StatusIs(kDataLoss, absl::StrCat("KMIP message with ", items, " batch items, counted as ",
                                         count, "; expected 1")));
  }
}

TEST(ResponseDecode, NeedsCountAndVersionInTheHeader) {
  EXPECT_THAT(DecodeStatus({.header = [](Writer& w) { kV14.Write(w); }}),
              StatusIs(kDataLoss, "malformed TTLV: item 0x42000d is missing in 0x42007a"));
  EXPECT_THAT(DecodeStatus({.header = [](Writer& w) { w.Integer(tag::kBatchCount, 1); }}),
              StatusIs(kDataLoss, "malformed TTLV: item 0x420069 is missing in 0x42007a"));
  EXPECT_THAT(DecodeStatus({.header =
                                [](Writer& w) {
                                  w.Structure(tag::kProtocolVersion,
                                              [&] { w.Integer(tag::kProtocolVersionMajor, 1); });
                                  w.Integer(tag::kBatchCount, 1);
                                }}),
              StatusIs(kDataLoss, "malformed TTLV: item 0x42006b is missing in 0x420069"));
  EXPECT_THAT(DecodeStatus({.header =
                                [](Writer& w) {
                                  kV14.Write(w);
                                  kV14.Write(w);
                                  w.Integer(tag::kBatchCount, 1);
                                }}),
              StatusIs(kDataLoss,
                       "malformed TTLV: item 0x420069 occurs more than once in "
                       "0x42007a"));
}

TEST(ResponseDecode, NeedsAResultStatus) {
  EXPECT_THAT(DecodeStatus({.item = [](Writer& w) { w.Enumeration(tag::kOperation, 0x1F); }}),
              StatusIs(kDataLoss, "KMIP response without a result status"));
}

TEST(ResponseDecode, NeedsFieldsOfTheRightTypeOnce) {
  const auto status_then = [](Fill more) {
    return [more](Writer& w) {
      w.Enumeration(tag::kResultStatus, 1);
      more(w);
    };
  };
  EXPECT_THAT(DecodeStatus({.item = status_then([](Writer& w) { w.Integer(tag::kOperation, 1); })}),
              StatusIs(kDataLoss, "malformed TTLV: item 0x42005c has type 2, expected 5"));
  EXPECT_THAT(
      DecodeStatus({.item = status_then([](Writer& w) { w.Integer(tag::kResultReason, 1); })}),
      StatusIs(kDataLoss, "malformed TTLV: item 0x42007e has type 2, expected 5"));
  EXPECT_THAT(DecodeStatus({.item = status_then(
                                [](Writer& w) { w.Bytes(tag::kResultMessage, ByteView()); })}),
              StatusIs(kDataLoss, "malformed TTLV: item 0x42007d has type 8, expected 7"));
  EXPECT_THAT(
      DecodeStatus({.item = status_then([](Writer& w) { w.Text(tag::kResponsePayload, "x"); })}),
      StatusIs(kDataLoss, "malformed TTLV: item 0x42007c has type 7, expected 1"));
  EXPECT_THAT(
      DecodeStatus({.item = status_then([](Writer& w) { w.Enumeration(tag::kResultStatus, 0); })}),
      StatusIs(kDataLoss,
               "malformed TTLV: item 0x42007f occurs more than once in "
               "0x42000f"));
}

absl::Status PayloadStatus(const Shape& shape) {
  const WipedBytes bytes = shape.Bytes();
  const auto response = Response::Decode(bytes);
  if (!response.ok()) return response.status();
  return response->Payload(Operation::kEncrypt).status();
}

Fill Result(uint32_t status, Fill more = Nothing) {
  return [=](Writer& w) {
    w.Enumeration(tag::kResultStatus, status);
    more(w);
  };
}

TEST(ResponsePayload, IsThatOfASuccess) { EXPECT_THAT(PayloadStatus({}), IsOk()); }

TEST(ResponsePayload, RefusalNeedsNeitherOperationNorOurVersion) {
  const Fill refusal = Result(1, [](Writer& w) {
    w.Enumeration(tag::kResultReason, 4);
    w.Text(tag::kResultMessage, "Error parsing request message.");
  });
  EXPECT_THAT(PayloadStatus({.header = Header({1, 0}), .item = refusal}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "KMIP Encrypt refused: InvalidMessage: Error parsing request message."));
}

TEST(ResponsePayload, RefusalWithoutAReason) {
  EXPECT_THAT(
      PayloadStatus({.item = Result(1)}),
      StatusIs(absl::StatusCode::kFailedPrecondition, "KMIP Encrypt refused: no reason given"));
}

TEST(ResponsePayload, SuccessOfAnotherMinorVersion) {
  EXPECT_THAT(PayloadStatus({.header = Header({1, 2})}), IsOk());
}

TEST(ResponsePayload, SuccessOfAnotherMajorVersion) {
  EXPECT_THAT(PayloadStatus({.header = Header({2, 0})}),
              StatusIs(kDataLoss, "KMIP Encrypt: the reply is in version 2.0"));
}

TEST(ResponseDecode, BatchItemIdIsBytes) {
  EXPECT_THAT(DecodeStatus({.item =
                                [](Writer& w) {
                                  w.Enumeration(tag::kOperation, 0x1F);
                                  w.Text(tag::kUniqueBatchItemId, "1");
                                  w.Enumeration(tag::kResultStatus, 0);
                                }}),
              StatusIs(kDataLoss, "malformed TTLV: item 0x420093 has type 7, expected 8"));
}

TEST(ResponsePayload, SuccessWithoutOperation) {
  EXPECT_THAT(PayloadStatus({.item = Result(
                                 0, [](Writer& w) { w.Structure(tag::kResponsePayload, [] {}); })}),
              StatusIs(kDataLoss, "KMIP Encrypt: success without naming the operation"));
}

TEST(ResponsePayload, SuccessOfAnotherOperation) {
  const auto of_operation = [](uint32_t operation) {
    return Result(0, [operation](Writer& w) {
      w.Enumeration(tag::kOperation, operation);
      w.Structure(tag::kResponsePayload, [] {});
    });
  };
  EXPECT_THAT(PayloadStatus({.item = of_operation(0x20)}),
              StatusIs(kDataLoss, "KMIP Encrypt: this is the reply to another request: Decrypt"));
  EXPECT_THAT(
      PayloadStatus({.item = of_operation(0x0A)}),
      StatusIs(kDataLoss, "KMIP Encrypt: this is the reply to another request: operation 0xa"));
}

TEST(ResponsePayload, SuccessWithoutAPayload) {
  EXPECT_THAT(
      PayloadStatus({.item = Result(0, [](Writer& w) { w.Enumeration(tag::kOperation, 0x1F); })}),
      StatusIs(kDataLoss, "KMIP Encrypt: success without a payload"));
}

TEST(ResponsePayload, PendingUndoneAndUnknownStatus) {
  EXPECT_THAT(PayloadStatus({.item = Result(2)}),
              StatusIs(kDataLoss, "KMIP Encrypt: the KMS answers later, which we did not ask for"));
  EXPECT_THAT(PayloadStatus({.item = Result(3)}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "KMIP Encrypt refused: no reason given: undone by the KMS"));
  EXPECT_THAT(PayloadStatus({.item = Result(4)}),
              StatusIs(kDataLoss, "KMIP Encrypt: unknown result status 4"));
}

TEST(RefusalStatus, MapsEveryReason) {
  using absl::StatusCode;
  const struct {
    uint32_t reason;
    StatusCode code;
    std::string name;
  } cases[] = {
      {0x00, StatusCode::kFailedPrecondition, "no reason given"},
      {0x01, StatusCode::kNotFound, "ItemNotFound"},
      {0x02, StatusCode::kFailedPrecondition, "ResponseTooLarge"},
      {0x03, StatusCode::kUnauthenticated, "AuthenticationNotSuccessful"},
      {0x04, StatusCode::kFailedPrecondition, "InvalidMessage"},
      {0x05, StatusCode::kUnimplemented, "OperationNotSupported"},
      {0x06, StatusCode::kFailedPrecondition, "MissingData"},
      {0x07, StatusCode::kFailedPrecondition, "InvalidField"},
      {0x08, StatusCode::kUnimplemented, "FeatureNotSupported"},
      {0x09, StatusCode::kFailedPrecondition, "OperationCanceledByRequester"},
      {0x0A, StatusCode::kInvalidArgument, "CryptographicFailure"},
      {0x0B, StatusCode::kFailedPrecondition, "IllegalOperation"},
      {0x0C, StatusCode::kPermissionDenied, "PermissionDenied"},
      {0x0D, StatusCode::kFailedPrecondition, "ObjectArchived"},
      {0x16, StatusCode::kFailedPrecondition, "reason 0x16"},
      {0x100, StatusCode::kInternal, "GeneralFailure"},
      {0x80000001, StatusCode::kFailedPrecondition, "reason 0x80000001"},
  };
  for (const auto& [reason, code, name] : cases) {
    EXPECT_THAT(RefusalStatus(Operation::kDecrypt, static_cast<ResultReason>(reason), "words"),
                StatusIs(code, absl::StrCat("KMIP Decrypt refused: ", name, ": words")));
  }
}

TEST(RefusalStatus, MakesTheServersWordsPrintable) {
  const auto message = [](const std::string& words) {
    return std::string(
        RefusalStatus(Operation::kQuery, ResultReason::kGeneralFailure, words).message());
  };
  EXPECT_EQ(message("a\nb\x1b[0m\xc3\xa9"), "KMIP Query refused: GeneralFailure: a?b?[0m??");
  EXPECT_EQ(message(std::string(5000, 'w')),
            absl::StrCat("KMIP Query refused: GeneralFailure: ", std::string(200, 'w'),
                         "... (5000 bytes)"));
  EXPECT_EQ(message(""), "KMIP Query refused: GeneralFailure");
}

TEST(Names, AreThoseOfTheSpecification) {
  EXPECT_EQ(ToString(Operation::kGetAttributes), "GetAttributes");
  EXPECT_EQ(ToString(Operation::kDiscoverVersions), "DiscoverVersions");
  EXPECT_EQ(ToString(static_cast<Operation>(0x2B)), "operation 0x2b");
  EXPECT_EQ(ToString(State::kPreActive), "PreActive");
  EXPECT_EQ(ToString(State::kDestroyedCompromised), "DestroyedCompromised");
  EXPECT_EQ(ToString(static_cast<State>(7)), "0x7");
  EXPECT_EQ((ProtocolVersion{1, 4}).ToString(), "1.4");
}

TEST(ProtocolVersion, IsOrderedByMajorThenMinor) {
  EXPECT_LT((ProtocolVersion{1, 4}), (ProtocolVersion{2, 0}));
  EXPECT_LT((ProtocolVersion{1, 2}), (ProtocolVersion{1, 3}));
}

}  // namespace
}  // namespace okms::kmip
