// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "kmip/operations.h"
#include "support/status_is.h"
#include "unit/hex.h"
#include "unit/kmip/connection_fixture.h"

namespace okms::kmip {
namespace {

using namespace wire;  // NOLINT(google-build-using-namespace): the fakes beside this file
using okms::test::FromHex;
using okms::test::IsOk;
using okms::test::StatusIs;
using ::testing::_;
using ::testing::Each;
using ::testing::SizeIs;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr auto kUnavailable = absl::StatusCode::kUnavailable;

// With an open connection.
class CallTest : public ConnectionTest {
 protected:
  CallTest() { EXPECT_THAT(Connect(Speaks({{1, 4}}, NotExpected)), IsOk()); }
  // Of one call that is answered by `handler`.
  absl::Status CallStatus(Handler handler) {
    kms_.Handle(std::move(handler));
    return wire_->Locate();
  }
  // Also that the connection is over for it.
  absl::Status EndStatus(Handler handler) {
    EXPECT_THAT(Connect(), IsOk());
    const absl::Status status = CallStatus(std::move(handler));
    EXPECT_FALSE(connection().idle());
    EXPECT_EQ(wire_->status(), status);
    EXPECT_EQ(connection().TakeReply().has_value(), false);
    EXPECT_THAT(connection().Receive(AsBytes("x")), StatusIs(kDataLoss, _));
    known_.Negotiated({1, 4});
    return status;
  }
};

TEST_F(CallTest, GivesTheReplyInPiecesOfAnySize) {
  for (const std::size_t piece : std::initializer_list<std::size_t>{1, 2, 7, 8, 9, 100'000}) {
    piece_ = piece;
    ASSERT_THAT(Connect(), IsOk());
    EXPECT_THAT(CallStatus(Finds), IsOk());
    EXPECT_TRUE(connection().idle());
  }
}

TEST_F(CallTest, ReplyIsThereUntilItIsForgotten) {
  kms_.Handle(Finds);
  const auto payload = [](ttlv::Writer&) {};
  const RequestItem item{Operation::kLocate, {}, payload};
  ASSERT_THAT(connection().Ask({&item, 1}), IsOk());
  EXPECT_FALSE(connection().idle());
  EXPECT_THAT(connection().Ask({&item, 1}), StatusIs(absl::StatusCode::kInternal, _));
  wire_->Run();
  EXPECT_FALSE(connection().idle());  // there is a reply to take
  const auto reply = connection().TakeReply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_TRUE(connection().idle());
  const auto found = reply->items[0]->Payload(Operation::kLocate);
  EXPECT_EQ(LocateResponse::Read(*found)->unique_identifiers.front(), "id");
  EXPECT_FALSE(connection().TakeReply().has_value());
  connection().Forget();
  EXPECT_TRUE(connection().idle());
}

TEST_F(CallTest, NothingAndTooMuchIsNotAskedFor) {
  const auto payload = [](ttlv::Writer&) {};
  const std::vector<RequestItem> items(kMaxItems + 1, {Operation::kLocate, {}, payload});
  EXPECT_THAT(connection().Ask(items), StatusIs(absl::StatusCode::kInternal, _));
  EXPECT_THAT(connection().Ask({}), StatusIs(absl::StatusCode::kInternal, _));
  EXPECT_TRUE(connection().idle());
}

TEST_F(CallTest, RefusalKeepsTheConnection) {
  EXPECT_THAT(CallStatus([](const Request& request) {
                return Refusal(request, ResultReason::kItemNotFound, "gone");
              }),
              StatusIs(absl::StatusCode::kNotFound, "KMIP Locate refused: ItemNotFound: gone"));
  EXPECT_TRUE(connection().idle());
}

TEST_F(CallTest, CloseEndsIt) {
  EXPECT_THAT(EndStatus([](const Request&) { return Closed(); }),
              StatusIs(kUnavailable, "KMIP Locate: kms: closed by the KMS"));
}

TEST_F(CallTest, CloseInTheMiddleOfAReplyEndsIt) {
  EXPECT_THAT(EndStatus([](const Request& request) {
                Answer answer = Finds(request);
                answer.bytes.resize(answer.bytes.size() / 2);
                answer.end = Closed().end;
                return answer;
              }),
              StatusIs(kUnavailable, "KMIP Locate: kms: closed by the KMS"));
}

TEST_F(CallTest, OversizedLengthEndsIt) {
  EXPECT_THAT(EndStatus([](const Request&) { return Bytes(FromHex("42007b01 7fffffff")); }),
              StatusIs(kDataLoss,
                       "KMIP Locate: malformed TTLV: item 0x42007b has length 2147483647, the "
                       "limit is 1048568"));
}

TEST_F(CallTest, AnswerOfAWebServerNamesThePort) {
  EXPECT_THAT(EndStatus([](const Request&) { return Bytes("HTTP/1.1 400 Bad Request\r\n"); }),
              StatusIs(kDataLoss,
                       "KMIP Locate: the answer is HTTP, not KMIP; KMIP answers at port 5696 of "
                       "the KMS: check --serv-addr"));
}

TEST_F(CallTest, GarbageEndsIt) {
  EXPECT_THAT(
      EndStatus([](const Request&) { return Bytes("HTT /1.1 400 Bad Request\r\n"); }),
      StatusIs(kDataLoss, "KMIP Locate: malformed TTLV: item 0x485454 is not a message structure"));
}

TEST_F(CallTest, MalformedMessageEndsIt) {
  EXPECT_THAT(EndStatus([](const Request&) {
                return Bytes(FromHex("42007b01 00000010 42007a02 00000008 0000000000000001"));
              }),
              StatusIs(kDataLoss,
                       "KMIP Locate: malformed TTLV: item 0x42007a has length 8, not one "
                       "of type 2"));
}

TEST_F(CallTest, ReplyOfTwoItemsToARequestOfOneEndsIt) {
  EXPECT_THAT(EndStatus([](const Request& request) {
                return Bytes(Response::Encode(
                    std::vector(2, Failure(request, ResultReason::kItemNotFound)), 0));
              }),
              StatusIs(kDataLoss,
                       "KMIP Locate: KMIP message with 2 batch items, counted as 2; expected 1"));
}

TEST_F(CallTest, ReplyOfAnotherMinorVersionIsTaken) {
  for (const int32_t minor : {0, 2, 9}) {
    EXPECT_THAT(CallStatus([=](Request request) {
                  request.version = {1, minor};
                  return Finds(request);
                }),
                IsOk());
  }
}

TEST_F(CallTest, EachRequestHasAnIdOfItsOwn) {
  EXPECT_THAT(CallStatus(Finds), IsOk());
  EXPECT_THAT(CallStatus(Finds), IsOk());
  ASSERT_THAT(Connect(), IsOk());
  EXPECT_THAT(CallStatus(Finds), IsOk());
  std::set<std::string> ids;
  for (const Seen& seen : kms_.seen()) {
    ids.emplace(AsText(Request::Decode(AsBytes(seen.bytes))->front().batch_item_id));
  }
  EXPECT_THAT(ids, SizeIs(4));  // that of Discover Versions too
  EXPECT_THAT(ids, Each(SizeIs(8)));
}

TEST_F(CallTest, ReplyWithAnotherIdEndsIt) {
  for (const std::string id : {"87654321", "1", "123456789"}) {
    EXPECT_THAT(EndStatus([&](Request request) {
                  request.batch_item_id = AsBytes(id);
                  return Finds(request);
                }),
                StatusIs(kDataLoss, "KMIP Locate: this is the reply to another request"));
  }
}

TEST_F(CallTest, RefusalWithAnotherIdEndsIt) {
  EXPECT_THAT(EndStatus([](Request request) {
                request.batch_item_id = AsBytes("87654321");
                return Refusal(request, ResultReason::kItemNotFound);
              }),
              StatusIs(kDataLoss, "KMIP Locate: this is the reply to another request"));
}

TEST_F(CallTest, ReplyWithoutAnIdEndsItOnceTheServerEchoedOne) {
  for (const bool refusal : {false, true}) {
    EXPECT_THAT(
        EndStatus([&](Request request) {
          request.batch_item_id = {};
          return refusal ? Refusal(request, ResultReason::kItemNotFound) : Finds(request);
        }),
        StatusIs(
            kDataLoss,
            "KMIP Locate: the reply has no batch item id, which this KMS gives back otherwise"));
  }
}

TEST_F(CallTest, RefusalOfTheWholeMessageNeedsNoId) {
  ASSERT_THAT(CallStatus(Finds), IsOk());
  EXPECT_THAT(CallStatus([](const Request&) { return Unreadable(); }),
              StatusIs(kFailedPrecondition, _));
  EXPECT_TRUE(connection().idle());
}

TEST_F(ConnectionTest, ServerThatNeverEchoesIdsIsServed) {
  ASSERT_THAT(Connect([](Request request) {
                request.batch_item_id = {};
                return request.operation == Operation::kDiscoverVersions
                           ? Success(request, DiscoverVersionsResponse{{{1, 4}}})
                           : Finds(request);
              }),
              IsOk());
  EXPECT_THAT(wire_->Locate(), IsOk());
  EXPECT_TRUE(connection().idle());
  EXPECT_FALSE(known_.echoes_ids);
}

TEST_F(CallTest, BytesBehindTheReplyEndIt) {
  for (const std::size_t piece : std::initializer_list<std::size_t>{1, 5, 100'000}) {
    piece_ = piece;
    EXPECT_THAT(EndStatus([](const Request& request) {
                  Answer answer = Finds(request);
                  answer.bytes += "x";
                  return answer;
                }),
                StatusIs(kDataLoss, "KMIP: the KMS sent what nobody asked for"));
  }
}

TEST_F(CallTest, SecondReplyEndsIt) {
  piece_ = 100'000;
  EXPECT_THAT(EndStatus([](const Request& request) {
                Answer answer = Finds(request);
                answer.bytes += answer.bytes;
                return answer;
              }),
              StatusIs(kDataLoss, "KMIP: the KMS sent what nobody asked for"));
}

TEST_F(CallTest, BytesThatNobodyAskedForEndIt) {
  EXPECT_THAT(connection().Receive(AsBytes("x")),
              StatusIs(kDataLoss, "KMIP: the KMS sent what nobody asked for"));
  EXPECT_FALSE(connection().idle());
}

}  // namespace
}  // namespace okms::kmip
