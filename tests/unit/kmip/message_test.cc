// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

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
  const auto payload = [](Writer& w) { w.Enumeration(tag::kQueryFunction, 1); };
  const RequestItem item{Operation::kQuery, {}, payload};
  const WipedBytes bytes = Request::Encode({1, 1}, {&item, 1});
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
  const auto payload = [](Writer& w) { w.Text(tag::kUniqueIdentifier, "x"); };
  const RequestItem item{Operation::kLocate, AsBytes("its id"), payload};
  const WipedBytes bytes = Request::Encode({1, 3}, {&item, 1});
  const auto requests = Request::Decode(bytes);
  ASSERT_THAT(requests, IsOk());
  ASSERT_EQ(requests->size(), 1U);
  const Request& request = requests->front();
  EXPECT_EQ(request.version, (ProtocolVersion{1, 3}));
  EXPECT_EQ(request.on_error, OnBatchError::kStop);
  EXPECT_EQ(request.operation, Operation::kLocate);
  EXPECT_EQ(AsText(request.batch_item_id), "its id");
  EXPECT_EQ(*request.payload.Get(tag::kUniqueIdentifier)->AsText(), "x");
}

TEST(RequestEncode, SeveralItemsAreToBeWorkedThroughWhateverFails) {
  const auto payload = [](Writer& w) { w.Enumeration(tag::kQueryFunction, 1); };
  const RequestItem items[] = {{Operation::kQuery, AsBytes("12345678"), payload},
                               {Operation::kQuery, AsBytes("12345679"), payload}};
  EXPECT_EQ(ToHex(Request::Encode({1, 1}, items)),
            ToHex(AsBytes(FromHex("42007801 000000d0"
                                  " 42007701 00000048"
                                  "  42006901 00000020 42006a02 00000004 0000000100000000"
                                  "   42006b02 00000004 0000000100000000"
                                  "  42000e05 00000004 0000000100000000"
                                  "  42000d02 00000004 0000000200000000"
                                  " 42000f01 00000038"
                                  "  42005c05 00000004 0000001800000000"
                                  "  42009308 00000008 3132333435363738"
                                  "  42007901 00000010 42007405 00000004 0000000100000000"
                                  " 42000f01 00000038"
                                  "  42005c05 00000004 0000001800000000"
                                  "  42009308 00000008 3132333435363739"
                                  "  42007901 00000010 42007405 00000004 0000000100000000"))));
}

TEST(RequestDecode, GivesBackEachItemInOrder) {
  const auto first = [](Writer& w) { w.Text(tag::kUniqueIdentifier, "x"); };
  const auto second = [](Writer& w) { w.Text(tag::kUniqueIdentifier, "y"); };
  const RequestItem items[] = {{Operation::kLocate, AsBytes("1"), first},
                               {Operation::kDecrypt, AsBytes("2"), second}};
  const WipedBytes bytes = Request::Encode({1, 3}, items);
  const auto requests = Request::Decode(bytes);
  ASSERT_THAT(requests, IsOk());
  ASSERT_EQ(requests->size(), 2U);
  for (const Request& request : *requests) {
    EXPECT_EQ(request.version, (ProtocolVersion{1, 3}));
    EXPECT_EQ(request.on_error, OnBatchError::kContinue);
  }
  EXPECT_EQ((*requests)[0].operation, Operation::kLocate);
  EXPECT_EQ(AsText((*requests)[0].batch_item_id), "1");
  EXPECT_EQ(*(*requests)[0].payload.Get(tag::kUniqueIdentifier)->AsText(), "x");
  EXPECT_EQ((*requests)[1].operation, Operation::kDecrypt);
  EXPECT_EQ(AsText((*requests)[1].batch_item_id), "2");
  EXPECT_EQ(*(*requests)[1].payload.Get(tag::kUniqueIdentifier)->AsText(), "y");
}

TEST(RequestDecode, OneBadItemSpoilsThemAll) {
  Shape shape{.root = tag::kRequestMessage, .items = 2};
  shape.header = Header(kV14, 2);
  shape.item = [items = 0](Writer& w) mutable {
    w.Enumeration(tag::kOperation, 8);
    if (++items == 1) w.Structure(tag::kRequestPayload, [] {});
  };
  EXPECT_THAT(Request::Decode(shape.Bytes()),
              StatusIs(kDataLoss, "malformed TTLV: item 0x420079 is missing in 0x42000f"));
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
  const auto responses = Response::Decode(bytes);
  ASSERT_THAT(responses, IsOk());
  ASSERT_EQ(responses->size(), 1U);
  const Response* const response = &responses->front();
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
  const auto responses = Response::Decode(bytes);
  ASSERT_THAT(responses, IsOk());
  ASSERT_EQ(responses->size(), 1U);
  const Response* const response = &responses->front();
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

TEST(ResponseDecode, GivesBackEachItemInOrder) {
  Writer payload;
  payload.Structure(tag::kResponsePayload, [&] { payload.Text(tag::kUniqueIdentifier, "5"); });
  const WipedBytes written = payload.Take();
  std::vector<Response> sent(3);
  for (Response& item : sent) item.version = {1, 2};
  sent[0].operation = Operation::kDecrypt;
  sent[0].batch_item_id = AsBytes("a");
  sent[0].payload = *ttlv::Parse(written);
  sent[1].operation = Operation::kEncrypt;
  sent[1].batch_item_id = AsBytes("b");
  sent[1].status = ResultStatus::kFailed;
  sent[1].reason = ResultReason::kPermissionDenied;
  sent[1].message = "not yours";
  sent[2].operation = Operation::kLocate;
  const WipedBytes bytes = Response::Encode(sent, 1700000000);
  const auto responses = Response::Decode(bytes);
  ASSERT_THAT(responses, IsOk());
  ASSERT_EQ(responses->size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const Response& got = (*responses)[i];
    EXPECT_EQ(got.version, (ProtocolVersion{1, 2}));
    EXPECT_EQ(got.operation, sent[i].operation);
    EXPECT_EQ(AsText(got.batch_item_id), AsText(sent[i].batch_item_id));
    EXPECT_EQ(got.status, sent[i].status);
    EXPECT_EQ(got.reason, sent[i].reason);
    EXPECT_EQ(got.message, sent[i].message);
    EXPECT_EQ(got.payload.has_value(), sent[i].payload.has_value());
    EXPECT_EQ(got.time_stamp, 1700000000);
  }
  EXPECT_EQ(*(*responses)[0].payload->Get(tag::kUniqueIdentifier)->AsText(), "5");
}

TEST(ResponseDecode, NeedsAsManyItemsAsAreCounted) {
  const struct {
    int items;
    int32_t count;
  } cases[] = {{0, 0}, {0, 1}, {2, 1}, {1, 2}, {1, 0}, {1, -1}, {17, 17}, {16, 17}, {17, 16}};
  for (const auto& [items, count] : cases) {
    EXPECT_THAT(
        DecodeStatus({.header = Header(kV14, count), .items = items}),
        StatusIs(kDataLoss, absl::StrCat("KMIP message with ", items, " batch items, counted as ",
                                         count, "; expected 1 to 16")));
  }
  EXPECT_THAT(DecodeStatus({.header = Header(kV14, 16), .items = 16}), IsOk());
}

TEST(ResponseDecode, TakesNoMoreItemsThanAreExpected) {
  const Shape shape{.header = Header(kV14, 2), .items = 2};
  EXPECT_THAT(Response::Decode(shape.Bytes(), 2).status(), IsOk());
  EXPECT_THAT(Response::Decode(shape.Bytes(), 1),
              StatusIs(kDataLoss, "KMIP message with 2 batch items, counted as 2; expected 1"));
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
  const auto responses = Response::Decode(bytes);
  if (!responses.ok()) return responses.status();
  return responses->front().Payload(Operation::kEncrypt).status();
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
