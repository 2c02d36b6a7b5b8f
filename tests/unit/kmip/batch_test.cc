// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Several requests in one message: who gets which answer.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kmip/connection.h"
#include "kmip/operations.h"
#include "support/status_is.h"
#include "unit/kmip/connection_fixture.h"

namespace okms::kmip {
namespace {

using namespace wire;  // NOLINT(google-build-using-namespace): the fakes beside this file
using okms::test::IsOk;
using okms::test::StatusIs;
using ::testing::_;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::SizeIs;
using namespace std::string_literals;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;

// Answers that can be put together in any way; each one's payload is what was asked for.
class Answers {
 public:
  explicit Answers(const std::vector<Request>& requests) {
    for (const Request& request : requests) {
      items.push_back(Header(request));
      items.back().payload = request.payload;
    }
  }
  Answer Bytes() const { return wire::Bytes(Response::Encode(items, 0)); }

  std::vector<Response> items;
};

class BatchTest : public ConnectionTest {
 protected:
  BatchTest() { Fresh(); }
  // A new connection of a version that is known.
  void Fresh() {
    known_.Negotiated({1, 4});
    ASSERT_THAT(Connect(), IsOk());
  }

  // Asks for this many keys, "key-0" and so on, which `answer` answers.
  absl::StatusOr<Reply> Ask(std::size_t count, BatchHandler answer) {
    kms_.HandleBatches(std::move(answer));
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < count; ++i) keys.push_back(absl::StrCat("key-", i));
    std::vector<std::function<void(ttlv::Writer&)>> payloads;
    for (const std::string& key : keys) {
      payloads.push_back([key](ttlv::Writer& writer) { writer.Text(tag::kUniqueIdentifier, key); });
    }
    std::vector<RequestItem> items;
    for (const auto& payload : payloads) items.push_back({Operation::kDecrypt, {}, payload});
    return wire_->Ask(items);
  }
  // What each item got: its key, the reason of a refusal, or "-".
  static std::vector<std::string> Told(const absl::StatusOr<Reply>& reply) {
    if (!reply.ok()) return {std::string(reply.status().message())};
    std::vector<std::string> told;
    for (const auto& item : reply->items) {
      if (!item) {
        told.emplace_back("-");
      } else if (const auto payload = item->Payload(Operation::kDecrypt); payload.ok()) {
        told.emplace_back(*payload->Get(tag::kUniqueIdentifier)->AsText());
      } else {
        told.push_back(ToString(item->reason));
      }
    }
    return told;
  }
  std::size_t MostItems() const { return known_.MostItems(Clock::now()); }

  void ExpectRefused(std::size_t count, BatchHandler answer) {
    known_ = KnownServer();
    Fresh();
    const auto reply = Ask(count, std::move(answer));
    ASSERT_THAT(reply, IsOk());
    EXPECT_TRUE(reply->batch_refused);
    EXPECT_FALSE(reply->version_refused);
    EXPECT_THAT(reply->items, SizeIs(count));
    EXPECT_THAT(Told(reply), Each("-"));
    EXPECT_EQ(MostItems(), 1U);
    EXPECT_FALSE(connection().idle());
    EXPECT_THAT(connection().Receive(AsBytes("x")), StatusIs(kDataLoss, _));
    EXPECT_EQ(known_.version(), (ProtocolVersion{1, 4}));
  }
  void ExpectGarbled(std::size_t count, const std::string& why, BatchHandler answer) {
    known_ = KnownServer();
    for (const std::size_t most : std::initializer_list<std::size_t>{kMaxItems, 1}) {
      Fresh();
      EXPECT_THAT(Ask(count, answer), StatusIs(kDataLoss, why));
      EXPECT_FALSE(connection().idle());
      EXPECT_EQ(MostItems(), most);
      known_.SingleAnswered();
    }
  }
};

TEST_F(BatchTest, EachItemGetsItsAnswer) {
  for (const std::size_t count : std::initializer_list<std::size_t>{2, 3, 16}) {
    const auto reply = Ask(count, [](const auto& requests) { return Answers(requests).Bytes(); });
    ASSERT_THAT(reply, IsOk());
    EXPECT_FALSE(reply->batch_refused);
    ASSERT_THAT(reply->items, SizeIs(count));
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(Told(reply)[i], absl::StrCat("key-", i));
    EXPECT_TRUE(connection().idle());
    EXPECT_EQ(MostItems(), kMaxItems);
    EXPECT_TRUE(known_.echoes_ids);
  }
}

TEST_F(BatchTest, EachItemHasAnIdOfItsOwnAndTheKmsIsToGoOn) {
  std::set<std::string> ids;
  ASSERT_THAT(Ask(16,
                  [&](const std::vector<Request>& requests) {
                    for (const Request& request : requests) {
                      ids.emplace(AsText(request.batch_item_id));
                      EXPECT_EQ(request.on_error, OnBatchError::kContinue);
                      EXPECT_EQ(request.version, (ProtocolVersion{1, 4}));
                    }
                    return Answers(requests).Bytes();
                  }),
              IsOk());
  EXPECT_THAT(ids, SizeIs(16));
  EXPECT_THAT(ids, Each(SizeIs(8)));
}

TEST_F(BatchTest, AnswersComeInAnyOrder) {
  EXPECT_THAT(Told(Ask(4,
                       [](const auto& requests) {
                         Answers answers(requests);
                         std::rotate(answers.items.begin(), answers.items.begin() + 1,
                                     answers.items.end());
                         std::swap(answers.items[0], answers.items[1]);
                         return answers.Bytes();
                       })),
              ElementsAre("key-0", "key-1", "key-2", "key-3"));
}

TEST_F(BatchTest, ARefusalIsThatOfItsItemAlone) {
  EXPECT_THAT(Told(Ask(3,
                       [](const auto& requests) {
                         Answers answers(requests);
                         answers.items[1] = Failure(requests[1], ResultReason::kPermissionDenied);
                         return answers.Bytes();
                       })),
              ElementsAre("key-0", "PermissionDenied", "key-2"));
  EXPECT_TRUE(connection().idle());
  EXPECT_EQ(MostItems(), kMaxItems);
}

TEST_F(BatchTest, WhatIsLeftOutIsMissing) {
  EXPECT_THAT(Told(Ask(3,
                       [](const auto& requests) {
                         Answers answers(requests);
                         answers.items.erase(answers.items.begin() + 1);
                         return answers.Bytes();
                       })),
              ElementsAre("key-0", "-", "key-2"));
  EXPECT_TRUE(connection().idle());
  EXPECT_EQ(MostItems(), kMaxItems);
  // Only one is left.
  EXPECT_THAT(Told(Ask(3,
                       [](const auto& requests) {
                         Answers answers(requests);
                         answers.items = {Failure(requests[2], ResultReason::kItemNotFound)};
                         return answers.Bytes();
                       })),
              ElementsAre("-", "-", "ItemNotFound"));
  EXPECT_TRUE(connection().idle());
}

TEST_F(BatchTest, RefusalOfTheWholeMessageRefusesTheBatch) {
  for (const ResultReason reason : {ResultReason::kInvalidMessage, ResultReason::kPermissionDenied,
                                    ResultReason::kOperationNotSupported}) {
    ExpectRefused(2, [&](const auto&) { return Unreadable(reason); });
  }
}

TEST_F(BatchTest, RefusalOfTheWholeMessageIsNobodysAnswerWhateverItsId) {
  ExpectRefused(2, [](const auto& requests) {
    Answers answers(requests);
    answers.items = {Failure(requests[0], ResultReason::kInvalidMessage)};
    answers.items[0].operation.reset();
    return answers.Bytes();
  });
}

TEST_F(BatchTest, AnswersWithoutIdsRefuseTheBatch) {
  ExpectRefused(2, [](const auto& requests) {
    Answers answers(requests);
    for (Response& item : answers.items) item.batch_item_id = {};
    return answers.Bytes();
  });
  ExpectRefused(3, [](const auto& requests) {  // one is enough: whose is it?
    Answers answers(requests);
    answers.items[2].batch_item_id = {};
    return answers.Bytes();
  });
  ExpectRefused(2, [](const auto& requests) {  // as of a KMS that reads the first item only
    Answers answers(requests);
    answers.items.resize(1);
    answers.items[0].batch_item_id = {};
    return answers.Bytes();
  });
}

TEST_F(BatchTest, AnswersThatCannotBeReadRefuseTheBatch) {
  ExpectRefused(2, [](const auto& requests) {
    Answers answers(requests);
    answers.items.push_back(answers.items[0]);  // more than were asked for
    return answers.Bytes();
  });
  ExpectRefused(2, [](const auto& requests) {
    Answer answer = Answers(requests).Bytes();
    const std::string count = "\x42\x00\x0d\x02"s;
    answer.bytes[answer.bytes.find(count) + 11] = 1;  // counted wrongly
    return answer;
  });
}

// Some may have come before the rest of them are seen to be another's.
TEST_F(BatchTest, AnswerToAnotherRequestEndsTheConnection) {
  ExpectGarbled(2, "KMIP Decrypt: this is the reply to another request", [](const auto& requests) {
    Answers answers(requests);
    answers.items[1].batch_item_id = AsBytes("87654321");
    return answers.Bytes();
  });
  ExpectGarbled(3, "KMIP Decrypt: this is the reply to another request", [](const auto& requests) {
    Answers answers(requests);
    answers.items.resize(1);
    answers.items[0].batch_item_id = answers.items[0].batch_item_id.first(7);
    return answers.Bytes();
  });
}

TEST_F(BatchTest, TwoAnswersToOneRequestEndTheConnection) {
  ExpectGarbled(3, "KMIP Decrypt: two replies to one request", [](const auto& requests) {
    Answers answers(requests);
    answers.items[2] = answers.items[0];
    return answers.Bytes();
  });
}

TEST_F(BatchTest, TwoConnectionsInARowLostWithABatchMeanOneItem) {
  for (const Answer& end : {wire::Closed(), Silent()}) {
    known_ = KnownServer();
    Fresh();
    EXPECT_FALSE(Ask(2, [&](const auto&) { return end; }).ok());
    Fresh();
    EXPECT_THAT(Ask(2, [](const auto& requests) { return Answers(requests).Bytes(); }), IsOk());
    EXPECT_FALSE(Ask(2, [&](const auto&) { return end; }).ok());
    EXPECT_EQ(MostItems(), kMaxItems);
    known_.SingleAnswered();
    Fresh();
    EXPECT_FALSE(Ask(2, [&](const auto&) { return end; }).ok());
    EXPECT_EQ(MostItems(), 1U);
  }
}

TEST_F(BatchTest, OtherEndsAndOtherRequestsDoNotCount) {
  for (int i = 0; i < 3; ++i) {
    Fresh();
    EXPECT_THAT(Ask(2, [](const auto&) { return Answer{.end = absl::UnauthenticatedError("no")}; }),
                StatusIs(absl::StatusCode::kUnauthenticated, "KMIP Decrypt: no"));
    Fresh();
    EXPECT_FALSE(Ask(1, [](const auto&) { return wire::Closed(); }).ok());
  }
  EXPECT_EQ(MostItems(), kMaxItems);
}

// A batch as the first request of a connection speaks of the version, too.
TEST_F(BatchTest, HangUpOnTheFirstRequestSpeaksAgainstTheVersion) {
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(known_.version().has_value());
    ASSERT_THAT(Connect(), IsOk());
    EXPECT_FALSE(Ask(2, [](const auto&) { return wire::Closed(); }).ok());
  }
  EXPECT_FALSE(known_.version().has_value());
}

TEST_F(BatchTest, AnswerToTheFirstRequestSpeaksForTheVersion) {
  for (int i = 0; i < 2; ++i) {
    ASSERT_THAT(Connect(), IsOk());
    EXPECT_FALSE(Ask(2, [](const auto&) { return wire::Closed(); }).ok());
    ASSERT_THAT(Connect(), IsOk());
    EXPECT_THAT(Ask(2, [](const auto& requests) { return Answers(requests).Bytes(); }), IsOk());
  }
  EXPECT_TRUE(known_.version().has_value());
}

}  // namespace
}  // namespace okms::kmip
