// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How connections come to a version, and what the next ones learn from it.

#include "kmip/negotiation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

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
using ::testing::ElementsAre;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr auto kUnavailable = absl::StatusCode::kUnavailable;

class NegotiationTest : public ConnectionTest {};

TEST_F(NegotiationTest, AsksWithHeader11ForAllOurVersions) {
  std::vector<ProtocolVersion> asked;
  ASSERT_THAT(Connect([&](const Request& request) {
                asked = DiscoverVersionsRequest::Read(request.payload)->versions;
                return Success(request, DiscoverVersionsResponse{{{1, 4}}});
              }),
              IsOk());
  EXPECT_TRUE(connection().idle());
  EXPECT_THAT(kms_.headers(), ElementsAre("1.1"));
  EXPECT_THAT(asked,
              ElementsAre(ProtocolVersion{1, 4}, ProtocolVersion{1, 3}, ProtocolVersion{1, 2},
                          ProtocolVersion{1, 1}, ProtocolVersion{1, 0}));
}

TEST_F(NegotiationTest, IsNotIdleWhileItNegotiates) {
  Connection connection(known_);
  EXPECT_FALSE(connection.TakeOutput().empty());
  EXPECT_TRUE(connection.TakeOutput().empty());
  EXPECT_FALSE(connection.idle());
}

struct Offer {
  const char* name;
  std::vector<ProtocolVersion> offered;
  ProtocolVersion chosen;
};

class HighestCommonVersion : public NegotiationTest, public ::testing::WithParamInterface<Offer> {};
INSTANTIATE_TEST_SUITE_P(
    , HighestCommonVersion,
    ::testing::Values(Offer{"Descending", {{1, 4}, {1, 3}, {1, 2}, {1, 1}, {1, 0}}, {1, 4}},
                      Offer{"Ascending", {{1, 0}, {1, 2}, {1, 4}}, {1, 4}},
                      Offer{"Shuffled", {{1, 2}, {1, 3}, {1, 1}}, {1, 3}},
                      Offer{"With20", {{2, 0}, {1, 3}, {2, 1}}, {1, 3}},
                      Offer{"WithUnknownMinors", {{1, 9}, {1, 2}, {0, 9}, {-1, 4}}, {1, 2}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(HighestCommonVersion, IsChosenWhateverTheOrder) {
  ASSERT_THAT(Connect(Speaks(GetParam().offered, Finds)), IsOk());
  EXPECT_EQ(connection().version(), GetParam().chosen);
  EXPECT_EQ(known_.version(), GetParam().chosen);
  ASSERT_THAT(wire_->Locate(), IsOk());
  EXPECT_EQ(kms_.seen().back().version, GetParam().chosen);
}

TEST_F(NegotiationTest, TriesOtherHeadersOnTheSameConnectionWhen11IsRefused) {
  for (const ResultReason reason :
       {ResultReason::kInvalidMessage, ResultReason::kOperationNotSupported,
        ResultReason::kFeatureNotSupported, ResultReason::kGeneralFailure}) {
    Anew();
    ASSERT_THAT(Connect(Knows({{1, 2}, {1, 4}}, Unreadable(reason))), IsOk());
    EXPECT_EQ(connection().version(), (ProtocolVersion{1, 4}));
    EXPECT_THAT(kms_.headers(), ElementsAre("1.1", "1.4"));
  }
}

TEST_F(NegotiationTest, TriesOtherHeadersOnAFreshConnectionWhenTheServerHangsUp) {
  for (const Answer& hang_up : {Closed(), Bytes("HTTP/1.1 400 Bad Request\r\n\r\n")}) {
    Anew();
    ASSERT_THAT(Open(Knows({{1, 3}}, hang_up)), IsOk());
    EXPECT_EQ(connection().version(), (ProtocolVersion{1, 3}));
    EXPECT_THAT(kms_.headers(), ElementsAre("1.1", "1.4", "1.3"));
    EXPECT_EQ(dials_, 3);
  }
}

// It may have closed because of the first header, before it saw the second.
TEST_F(NegotiationTest, ServerThatRefusesAHeaderAndClosesIsTriedInTheNextOnAFreshConnection) {
  bool closed = false;
  const Handler handler = [&](const Request& request) {
    if (std::exchange(closed, false)) return Closed();
    if (request.version == ProtocolVersion{1, 4}) {
      return Success(request, DiscoverVersionsResponse{{{1, 4}}});
    }
    closed = true;
    return Unreadable();
  };
  EXPECT_THAT(
      Connect(handler),
      StatusIs(kUnavailable, "KMIP DiscoverVersions refused: InvalidMessage: cannot read this"));
  ASSERT_THAT(Connect(handler), IsOk());
  EXPECT_THAT(kms_.headers(), ElementsAre("1.1", "1.4", "1.4"));
}

TEST_F(NegotiationTest, NonsenseAfterARefusalIsAHangUpWithTheWordsOfTheRefusal) {
  EXPECT_THAT(
      Connect([](Request request) {
        if (request.version.minor == 1) return Unreadable();
        request.operation = Operation::kLocate;
        return Finds(request);
      }),
      StatusIs(kDataLoss, "KMIP DiscoverVersions refused: InvalidMessage: cannot read this"));
  EXPECT_EQ(known_.Headers(Clock::now()).front(), (ProtocolVersion{1, 4}));
}

TEST_F(NegotiationTest, NegotiatedVersionIsWhatTheNextConnectionBeginsWith) {
  const Handler handler = Knows({{1, 2}}, Unreadable(), Finds);
  ASSERT_THAT(Connect(handler), IsOk());
  EXPECT_THAT(kms_.headers(), ElementsAre("1.1", "1.4", "1.3", "1.2"));
  kms_.Forget();
  ASSERT_THAT(Connect(handler), IsOk());
  EXPECT_TRUE(connection().idle());
  EXPECT_EQ(connection().version(), (ProtocolVersion{1, 2}));
  EXPECT_THAT(kms_.headers(), ElementsAre());
  ASSERT_THAT(wire_->Locate(), IsOk());
  EXPECT_THAT(kms_.headers(), ElementsAre("1.2"));
  EXPECT_FALSE(wire_->version_refused());
}

TEST_F(NegotiationTest, HeaderThatWorkedIsTriedFirstNextTime) {
  const Handler handler = Knows({{1, 2}}, Unreadable());
  ASSERT_THAT(Connect(handler), IsOk());
  kms_.Forget();
  known_.ForgetVersion({1, 2});
  ASSERT_THAT(Connect(handler), IsOk());
  EXPECT_THAT(kms_.headers(), ElementsAre("1.2"));
}

TEST_F(NegotiationTest, HeaderThatWorkedIsOnlyAHint) {
  known_.SetHeader({1, 2});
  ASSERT_THAT(Connect(Knows({{1, 1}, {1, 4}}, Unreadable())), IsOk());
  EXPECT_THAT(kms_.headers(), ElementsAre("1.2", "1.1"));
  EXPECT_EQ(known_.header(), (ProtocolVersion{1, 1}));
  EXPECT_EQ(connection().version(), (ProtocolVersion{1, 4}));
}

TEST_F(NegotiationTest, KnownVersionThatIsRefusedIsNegotiatedAnewOnTheSameConnection) {
  ASSERT_THAT(Connect(Knows({{1, 4}}, Unreadable())), IsOk());
  ASSERT_THAT(Connect(Knows({{1, 2}}, Unreadable(), Finds)), IsOk());
  kms_.Forget();
  ASSERT_THAT(wire_->Locate(), IsOk());
  ASSERT_TRUE(wire_->version_refused());
  EXPECT_TRUE(connection().idle());
  EXPECT_EQ(connection().version(), (ProtocolVersion{1, 2}));
  EXPECT_EQ(known_.version(), (ProtocolVersion{1, 2}));
  ASSERT_THAT(wire_->Locate(), IsOk());
  EXPECT_FALSE(wire_->version_refused());
  EXPECT_THAT(kms_.headers(), ElementsAre("1.4", "1.4", "1.1", "1.3", "1.2", "1.2"));
  EXPECT_EQ(kms_.operations().front(), Operation::kLocate);
  EXPECT_EQ(kms_.operations().back(), Operation::kLocate);
}

TEST_F(NegotiationTest, SecondNegotiationThatFailsEndsTheConnection) {
  ASSERT_THAT(Connect(Knows({{1, 4}}, Unreadable())), IsOk());
  ASSERT_THAT(Connect([](const Request&) { return Unreadable(); }), IsOk());
  EXPECT_THAT(wire_->Locate(),
              StatusIs(kFailedPrecondition,
                       "KMIP DiscoverVersions refused: InvalidMessage: cannot read this"));
  EXPECT_FALSE(connection().idle());
  EXPECT_THAT(connection().Receive(AsBytes("x")),
              StatusIs(kDataLoss, "KMIP: the connection is over"));
  EXPECT_EQ(known_.version(), std::nullopt);
}

TEST_F(NegotiationTest, RefusalOfTheClientIsNoRefusalOfTheVersion) {
  for (const ResultReason reason :
       {ResultReason::kAuthenticationNotSuccessful, ResultReason::kPermissionDenied}) {
    Anew();
    ASSERT_THAT(Connect(Knows({{1, 4}}, Unreadable())), IsOk());
    ASSERT_THAT(Connect([&](const Request&) { return Unreadable(reason); }), IsOk());
    EXPECT_THAT(std::string(wire_->Locate().message()),
                ::testing::StartsWith("KMIP Locate refused: "));
    EXPECT_FALSE(wire_->version_refused());
    EXPECT_EQ(known_.version(), (ProtocolVersion{1, 4}));
  }
}

TEST_F(NegotiationTest, RefusalOfALaterMessageIsNoRefusalOfTheVersion) {
  known_.Negotiated({1, 4});
  ASSERT_THAT(Connect(Finds), IsOk());
  ASSERT_THAT(wire_->Locate(), IsOk());
  kms_.Handle([](const Request&) { return Unreadable(); });
  EXPECT_THAT(wire_->Locate(), StatusIs(kFailedPrecondition, _));
  EXPECT_FALSE(wire_->version_refused());
  EXPECT_EQ(known_.version(), (ProtocolVersion{1, 4}));
}

TEST_F(NegotiationTest, KnownVersionIsForgottenAfterTwoHangUpsInARow) {
  for (const Answer& hang_up : {Closed(), Bytes("HTTP/1.1 400 Bad Request\r\n\r\n")}) {
    Anew();
    known_.Negotiated({1, 4});
    const auto call = [&](Handler handler) {
      ASSERT_THAT(Connect(std::move(handler)), IsOk());
      wire_->Locate().IgnoreError();
    };
    const Handler hangs_up = [&](const Request&) { return hang_up; };
    call(hangs_up);
    call(Finds);
    call(hangs_up);
    EXPECT_TRUE(known_.version().has_value());
    call(hangs_up);
    EXPECT_FALSE(known_.version().has_value());
  }
}

TEST_F(NegotiationTest, OnlyAHangUpOnTheFirstRequestSpeaksAgainstTheVersion) {
  known_.Negotiated({1, 4});
  std::vector<std::unique_ptr<Wire>> wires;
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(Connect(Finds), IsOk());
    ASSERT_THAT(wire_->Locate(), IsOk());
    wires.push_back(std::move(wire_));
  }
  kms_.Handle([](const Request&) { return Closed(); });
  for (const auto& wire : wires) EXPECT_THAT(wire->Locate(), StatusIs(kUnavailable, _));
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(Connect([](const Request&) { return Silent(); }), IsOk());
    EXPECT_THAT(wire_->Locate(), StatusIs(absl::StatusCode::kDeadlineExceeded, _));
  }
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(Connect(NotExpected), IsOk());
    EXPECT_THAT(connection().Closed(absl::UnavailableError("closed")),
                StatusIs(kUnavailable, "KMIP: closed"));
  }
  EXPECT_TRUE(known_.version().has_value());
}

// A load balancer without servers behind it, for one.
TEST_F(NegotiationTest, ServerThatOnceNegotiatedAndHangsUpGetsAnotherHeaderNextTime) {
  ASSERT_THAT(Connect(Knows({{1, 1}, {1, 4}}, Unreadable())), IsOk());
  known_.ForgetVersion({1, 4});
  for (const std::string header : {"1.1", "1.4", "1.3", "1.2", "1.1"}) {
    kms_.Forget();
    EXPECT_THAT(Connect([](const Request&) { return Closed(); }), StatusIs(kUnavailable, _));
    EXPECT_THAT(kms_.headers(), ElementsAre(header));
  }
}

TEST_F(NegotiationTest, ServerThatDeniesDiscoverVersionsIsTakenToSpeakTheHeadersVersion) {
  for (const ResultReason reason :
       {ResultReason::kPermissionDenied, ResultReason::kOperationNotSupported}) {
    for (const int32_t highest : {4, 3, 2}) {
      Anew();
      ASSERT_THAT(Connect([&](const Request& request) {
                    return request.version.minor > highest ? Unreadable()
                                                           : Refusal(request, reason);
                  }),
                  IsOk());
      EXPECT_EQ(connection().version(), (ProtocolVersion{1, highest}));
    }
  }
}

TEST_F(NegotiationTest, NoneInCommonSaysWhatTheServerOffers) {
  EXPECT_THAT(Connect(Speaks({{2, 1}, {2, 0}}, [](const Request&) { return Unreadable(); })),
              StatusIs(kFailedPrecondition,
                       "no KMIP version in common: the KMS offers 2.1, 2.0; we speak 1.0 to 1.4"));
  EXPECT_THAT(Connect(Speaks({}, [](const Request&) { return Unreadable(); })),
              StatusIs(kFailedPrecondition,
                       "no KMIP version in common: the KMS offers none; we speak 1.0 to 1.4"));
}

TEST_F(NegotiationTest, NoneInCommonSaysSomeOfWhatTheServerOffers) {
  const std::vector<ProtocolVersion> many(10'000, ProtocolVersion{2, 0});
  EXPECT_THAT(Connect(Speaks(many, [](const Request&) { return Unreadable(); })),
              StatusIs(kFailedPrecondition,
                       "no KMIP version in common: the KMS offers 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, "
                       "2.0, 2.0, ...; we speak 1.0 to 1.4"));
}

TEST_F(NegotiationTest, FirstRefusalIsTheOneReported) {
  EXPECT_THAT(Connect([](const Request& request) {
                return Refusal(request, ResultReason::kGeneralFailure,
                               "header " + request.version.ToString());
              }),
              StatusIs(absl::StatusCode::kInternal,
                       "KMIP DiscoverVersions refused: GeneralFailure: header 1.1"));
  EXPECT_THAT(kms_.headers(), ElementsAre("1.1", "1.4", "1.3", "1.2", "1.0"));
}

TEST_F(NegotiationTest, RefusalOfTheClientIsNotTriedAgainInOtherVersions) {
  EXPECT_THAT(Connect([](const Request& request) {
                return Refusal(request, ResultReason::kAuthenticationNotSuccessful, "who?");
              }),
              StatusIs(absl::StatusCode::kUnauthenticated,
                       "KMIP DiscoverVersions refused: AuthenticationNotSuccessful: who?"));
  EXPECT_THAT(kms_.headers(), ElementsAre("1.1"));
}

TEST_F(NegotiationTest, WhyTheCertificateIsRefusedGoesBeforeWhatWasRefusedFirst) {
  const absl::Status why = absl::UnauthenticatedError("kms: the KMS refuses our certificate");
  EXPECT_THAT(Connect([&](const Request& request) {
                return request.version.minor == 1 ? Unreadable() : Answer{.end = why};
              }),
              StatusIs(absl::StatusCode::kUnauthenticated,
                       "KMIP DiscoverVersions: kms: the KMS refuses our certificate"));
  EXPECT_EQ(known_.Headers(Clock::now()).front(), (ProtocolVersion{1, 1}));
}

TEST_F(NegotiationTest, SilenceSpeaksAgainstNoHeader) {
  EXPECT_THAT(Connect([](const Request&) { return Silent(); }),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       "KMIP DiscoverVersions: kms: no answer in time"));
  EXPECT_EQ(known_.Headers(Clock::now()).front(), (ProtocolVersion{1, 1}));
}

// A server of at most KMIP 1.1 or 1.0, which tells its operations by Query.
Handler Old(std::vector<ProtocolVersion> versions, std::vector<Operation> operations) {
  return Knows(std::move(versions), Unreadable(ResultReason::kOperationNotSupported),
               [operations = std::move(operations)](const Request& request) {
                 return request.operation == Operation::kQuery
                            ? Success(request, QueryResponse{operations})
                            : Refusal(request, ResultReason::kOperationNotSupported);
               });
}

TEST_F(NegotiationTest, Server11WithEncryptAndDecryptIsTaken) {
  ASSERT_THAT(Connect(Old({{1, 1}, {1, 0}}, {Operation::kDecrypt, Operation::kEncrypt})), IsOk());
  EXPECT_EQ(connection().version(), (ProtocolVersion{1, 1}));
  EXPECT_THAT(kms_.operations(), ElementsAre(Operation::kDiscoverVersions, Operation::kQuery));
}

TEST_F(NegotiationTest, Server11WithoutThemIsNot) {
  EXPECT_THAT(Connect(Old({{1, 1}, {1, 0}}, {Operation::kLocate, Operation::kDecrypt})),
              StatusIs(kFailedPrecondition,
                       "the KMS speaks at most KMIP 1.1 and has no Encrypt; KMIP 1.2 or later is "
                       "needed"));
  EXPECT_THAT(Connect(Old({{1, 1}, {1, 0}}, {Operation::kEncrypt})),
              StatusIs(kFailedPrecondition,
                       "the KMS speaks at most KMIP 1.1 and has no Decrypt; KMIP 1.2 or later is "
                       "needed"));
}

TEST_F(NegotiationTest, Server11ThatRefusesQueryIsNot) {
  EXPECT_THAT(
      Connect(Speaks({{1, 1}},
                     [](const Request& request) {
                       return Refusal(request, ResultReason::kPermissionDenied);
                     })),
      StatusIs(absl::StatusCode::kPermissionDenied, "KMIP Query refused: PermissionDenied: no"));
  EXPECT_THAT(kms_.operations(), ElementsAre(Operation::kDiscoverVersions, Operation::kQuery));
}

TEST_F(NegotiationTest, Server10OnlyIsAskedByQuery) {
  ASSERT_THAT(Connect(Old({{1, 0}}, {Operation::kEncrypt, Operation::kDecrypt})), IsOk());
  EXPECT_EQ(connection().version(), (ProtocolVersion{1, 0}));
  EXPECT_THAT(kms_.headers(), ElementsAre("1.1", "1.4", "1.3", "1.2", "1.0"));
  EXPECT_EQ(kms_.operations().back(), Operation::kQuery);
}

TEST_F(NegotiationTest, Server10OnlyThatHangsUpOnAllOthersIsFound) {
  ASSERT_THAT(
      Open(Knows(
          {{1, 0}}, Closed(),
          [](const Request& request) {
            return Success(request, QueryResponse{{Operation::kEncrypt, Operation::kDecrypt}});
          })),
      IsOk());
  EXPECT_EQ(connection().version(), (ProtocolVersion{1, 0}));
  EXPECT_EQ(dials_, 5);
}

TEST_F(NegotiationTest, Server10OnlyWithoutCryptographyIsNot) {
  EXPECT_THAT(Connect(Old({{1, 0}}, {Operation::kLocate})),
              StatusIs(kFailedPrecondition,
                       "the KMS speaks at most KMIP 1.0 and has no Encrypt; KMIP 1.2 or later is "
                       "needed"));
}

TEST_F(NegotiationTest, Server10OnlyIsAskedForDiscoverVersionsWheneverItIsNegotiatedWith) {
  ASSERT_THAT(Connect(Old({{1, 0}}, {Operation::kEncrypt, Operation::kDecrypt})), IsOk());
  EXPECT_EQ(known_.version(), (ProtocolVersion{1, 0}));
  EXPECT_EQ(known_.header(), (ProtocolVersion{1, 1}));
}

// The next question is there by then, but unsent: this cannot be its answer.
TEST_F(NegotiationTest, SecondReplyDuringNegotiationIsNotTakenForTheNext) {
  piece_ = 100'000;
  EXPECT_THAT(Connect([](const Request& request) {
                Answer answer = Success(request, DiscoverVersionsResponse{{{1, 1}}});
                Request query = request;
                query.operation = Operation::kQuery;
                query.batch_item_id = {};
                answer.bytes +=
                    Success(query, QueryResponse{{Operation::kEncrypt, Operation::kDecrypt}}).bytes;
                return answer;
              }),
              StatusIs(kDataLoss, "KMIP: the KMS sent what nobody asked for"));
}

}  // namespace
}  // namespace okms::kmip
