// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "kmip/operations.h"
#include "support/status_is.h"
#include "unit/hex.h"
#include "unit/kmip/fake_stream.h"

namespace okms::kmip {
namespace {

using namespace std::chrono_literals;
using namespace test;  // NOLINT(google-build-using-namespace): the fakes beside this file
using okms::test::FromHex;
using okms::test::IsOk;
using okms::test::StatusIs;
using ::testing::Each;
using ::testing::ElementsAre;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;

Deadline Later() { return Clock::now() + 1h; }

Reply NotExpected(const Request& request) {
  ADD_FAILURE() << "unexpected " << ToString(request.operation);
  return Closed();
}

// A server that knows only some versions: another header gets `otherwise`.
Handler Knows(std::vector<ProtocolVersion> versions, Reply otherwise, Handler next = NotExpected) {
  return [=](const Request& request) {
    if (std::find(versions.begin(), versions.end(), request.version) == versions.end()) {
      return otherwise;
    }
    if (request.operation == Operation::kDiscoverVersions &&
        request.version > ProtocolVersion{1, 0}) {
      return Success(request, DiscoverVersionsResponse{versions});
    }
    return next(request);
  };
}

class SessionTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Session>> Open(Handler handler) {
    kms_.Handle(std::move(handler));
    return Open();
  }
  absl::StatusOr<std::unique_ptr<Session>> Open() {
    int dials = known_.MostDials();
    return Session::Open(dialer_, known_, dials, Later());
  }

  FakeKms kms_{NotExpected};
  FakeDialer dialer_{kms_};
  KnownServer known_;
};

TEST_F(SessionTest, AsksWithHeader11ForAllOurVersions) {
  std::vector<ProtocolVersion> asked;
  const auto session = Open([&](const Request& request) {
    asked = DiscoverVersionsRequest::Read(request.payload)->versions;
    return Success(request, DiscoverVersionsResponse{{{1, 4}}});
  });
  ASSERT_THAT(session, IsOk());
  EXPECT_THAT(kms_.headers(), ElementsAre("1.1"));
  EXPECT_THAT(asked,
              ElementsAre(ProtocolVersion{1, 4}, ProtocolVersion{1, 3}, ProtocolVersion{1, 2},
                          ProtocolVersion{1, 1}, ProtocolVersion{1, 0}));
}

struct Offer {
  const char* name;
  std::vector<ProtocolVersion> offered;
  ProtocolVersion chosen;
};

class SessionVersion : public SessionTest, public ::testing::WithParamInterface<Offer> {};
INSTANTIATE_TEST_SUITE_P(
    , SessionVersion,
    ::testing::Values(Offer{"Descending", {{1, 4}, {1, 3}, {1, 2}, {1, 1}, {1, 0}}, {1, 4}},
                      Offer{"Ascending", {{1, 0}, {1, 2}, {1, 4}}, {1, 4}},
                      Offer{"Shuffled", {{1, 2}, {1, 3}, {1, 1}}, {1, 3}},
                      Offer{"With20", {{2, 0}, {1, 3}, {2, 1}}, {1, 3}},
                      Offer{"WithUnknownMinors", {{1, 9}, {1, 2}, {0, 9}, {-1, 4}}, {1, 2}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(SessionVersion, IsChosenWhateverTheOrder) {
  const auto session = Open(Speaks(GetParam().offered, [](const Request& request) {
    return Success(request, LocateResponse{{"id"}});
  }));
  ASSERT_THAT(session, IsOk());
  EXPECT_EQ((*session)->version(), GetParam().chosen);
  ASSERT_THAT((*session)->Call(LocateRequest{"etcd", {}, {}}, Later()), IsOk());
  EXPECT_EQ(kms_.seen().back().version, GetParam().chosen);
}

TEST_F(SessionTest, TriesOtherHeadersOnTheSameConnectionWhen11IsRefused) {
  for (const ResultReason reason :
       {ResultReason::kInvalidMessage, ResultReason::kOperationNotSupported,
        ResultReason::kFeatureNotSupported, ResultReason::kGeneralFailure}) {
    FakeKms kms(Knows({{1, 2}, {1, 4}}, Unreadable(reason)));
    FakeDialer dialer(kms);
    KnownServer known;
    int dials = known.MostDials();
    const auto session = Session::Open(dialer, known, dials, Later());
    ASSERT_THAT(session, IsOk());
    EXPECT_EQ((*session)->version(), (ProtocolVersion{1, 4}));
    EXPECT_THAT(kms.headers(), ElementsAre("1.1", "1.4"));
    EXPECT_EQ(kms.dials(), 1);
  }
}

TEST_F(SessionTest, TriesOtherHeadersOnAFreshConnectionWhenTheServerHangsUp) {
  for (const Reply& hang_up : {Closed(), Bytes("HTTP/1.1 400 Bad Request\r\n\r\n")}) {
    FakeKms kms(Knows({{1, 3}}, hang_up));
    FakeDialer dialer(kms);
    KnownServer known;
    int dials = known.MostDials();
    const auto session = Session::Open(dialer, known, dials, Later());
    ASSERT_THAT(session, IsOk());
    EXPECT_EQ((*session)->version(), (ProtocolVersion{1, 3}));
    EXPECT_THAT(kms.headers(), ElementsAre("1.1", "1.4", "1.3"));
    EXPECT_EQ(kms.dials(), 3);
  }
}

TEST_F(SessionTest, NegotiatedVersionIsWhatTheNextSessionBeginsWith) {
  const Handler handler = Knows({{1, 2}}, Unreadable(), [](const Request& request) {
    return Success(request, LocateResponse{{"id"}});
  });
  ASSERT_THAT(Open(handler), IsOk());
  EXPECT_THAT(kms_.headers(), ElementsAre("1.1", "1.4", "1.3", "1.2"));
  kms_.Forget();
  const auto session = Open(handler);
  ASSERT_THAT(session, IsOk());
  EXPECT_THAT(kms_.headers(), ElementsAre());
  ASSERT_THAT((*session)->Call(LocateRequest{"etcd", {}, {}}, Later()), IsOk());
  EXPECT_THAT(kms_.headers(), ElementsAre("1.2"));
  EXPECT_FALSE((*session)->version_refused());
}

TEST_F(SessionTest, HeaderThatWorkedIsTriedFirstNextTime) {
  const Handler handler = Knows({{1, 2}}, Unreadable());
  ASSERT_THAT(Open(handler), IsOk());
  kms_.Forget();
  known_.ForgetVersion({1, 2});
  ASSERT_THAT(Open(handler), IsOk());
  EXPECT_THAT(kms_.headers(), ElementsAre("1.2"));
}

TEST_F(SessionTest, HeaderThatWorkedIsOnlyAHint) {
  known_.SetHeader({1, 2});
  const auto session = Open(Knows({{1, 1}, {1, 4}}, Unreadable()));
  ASSERT_THAT(session, IsOk());
  EXPECT_THAT(kms_.headers(), ElementsAre("1.2", "1.1"));
  EXPECT_EQ(known_.header(), (ProtocolVersion{1, 1}));
  EXPECT_EQ((*session)->version(), (ProtocolVersion{1, 4}));
}

TEST_F(SessionTest, KnownVersionThatIsRefusedIsNegotiatedAnewOnTheSameConnection) {
  ASSERT_THAT(Open(Knows({{1, 4}}, Unreadable())), IsOk());
  const auto session = Open(Knows({{1, 2}}, Unreadable(), [](const Request& request) {
    return Success(request, LocateResponse{{"id"}});
  }));
  ASSERT_THAT(session, IsOk());
  kms_.Forget();
  EXPECT_THAT((*session)->Call(LocateRequest{"etcd", {}, {}}, Later()),
              StatusIs(kFailedPrecondition, ::testing::_));
  ASSERT_TRUE((*session)->version_refused());
  ASSERT_THAT((*session)->Renegotiate(Later()), IsOk());
  EXPECT_FALSE((*session)->version_refused());
  EXPECT_EQ((*session)->version(), (ProtocolVersion{1, 2}));
  EXPECT_THAT((*session)->Call(LocateRequest{"etcd", {}, {}}, Later()), IsOk());
  EXPECT_EQ(kms_.dials(), 2);
  EXPECT_EQ(known_.version(), (ProtocolVersion{1, 2}));
}

TEST_F(SessionTest, RefusalOfTheClientIsNoRefusalOfTheVersion) {
  ASSERT_THAT(Open(Knows({{1, 4}}, Unreadable())), IsOk());
  const auto session =
      Open([](const Request&) { return Unreadable(ResultReason::kAuthenticationNotSuccessful); });
  ASSERT_THAT(session, IsOk());
  EXPECT_THAT((*session)->Call(LocateRequest{"etcd", {}, {}}, Later()),
              StatusIs(absl::StatusCode::kUnauthenticated, ::testing::_));
  EXPECT_FALSE((*session)->version_refused());
  EXPECT_EQ(known_.version(), (ProtocolVersion{1, 4}));
}

TEST_F(SessionTest, KnownVersionIsForgottenAfterTwoHangUpsInARow) {
  ASSERT_THAT(Open(Knows({{1, 4}}, Unreadable())), IsOk());
  const auto call = [&](Handler handler) {
    const auto session = Open(std::move(handler));
    ASSERT_THAT(session, IsOk());
    (*session)->Call(LocateRequest{"etcd", {}, {}}, Later()).IgnoreError();
  };
  const Handler hang_up = [](const Request&) { return Closed(); };
  const Handler answer = [](const Request& request) {
    return Success(request, LocateResponse{{"id"}});
  };
  call(hang_up);
  call(answer);
  call(hang_up);
  EXPECT_TRUE(known_.version().has_value());
  call(hang_up);
  EXPECT_FALSE(known_.version().has_value());
}

// A load balancer without servers behind it, for one.
TEST_F(SessionTest, ServerThatOnceNegotiatedAndHangsUpCostsOneDialAndAnotherHeaderNextTime) {
  ASSERT_THAT(Open(Knows({{1, 1}, {1, 4}}, Unreadable())), IsOk());
  known_.ForgetVersion({1, 4});
  for (const std::string header : {"1.1", "1.4", "1.3", "1.2", "1.1"}) {
    kms_.Forget();
    const int before = kms_.dials();
    EXPECT_THAT(Open([](const Request&) { return Closed(); }),
                StatusIs(absl::StatusCode::kUnavailable, ::testing::_));
    EXPECT_EQ(kms_.dials(), before + 1);
    EXPECT_THAT(kms_.headers(), ElementsAre(header));
  }
}

TEST_F(SessionTest, ServerThatDeniesDiscoverVersionsIsTakenToSpeakTheHeadersVersion) {
  for (const ResultReason reason :
       {ResultReason::kPermissionDenied, ResultReason::kOperationNotSupported}) {
    for (const int32_t highest : {4, 3, 2}) {
      FakeKms kms([&](const Request& request) {
        return request.version.minor > highest ? Unreadable() : Refusal(request, reason);
      });
      FakeDialer dialer(kms);
      KnownServer known;
      int dials = known.MostDials();
      const auto session = Session::Open(dialer, known, dials, Later());
      ASSERT_THAT(session, IsOk());
      EXPECT_EQ((*session)->version(), (ProtocolVersion{1, highest}));
      EXPECT_EQ(kms.dials(), 1);
    }
  }
}

TEST_F(SessionTest, NoneInCommonSaysWhatTheServerOffers) {
  EXPECT_THAT(Open(Speaks({{2, 1}, {2, 0}}, [](const Request&) { return Unreadable(); })),
              StatusIs(kFailedPrecondition,
                       "no KMIP version in common: the KMS offers 2.1, 2.0; we speak 1.0 to 1.4"));
  EXPECT_THAT(Open(Speaks({}, [](const Request&) { return Unreadable(); })),
              StatusIs(kFailedPrecondition,
                       "no KMIP version in common: the KMS offers none; we speak 1.0 to 1.4"));
}

TEST_F(SessionTest, NoneInCommonSaysSomeOfWhatTheServerOffers) {
  const std::vector<ProtocolVersion> many(10'000, ProtocolVersion{2, 0});
  EXPECT_THAT(Open(Speaks(many, [](const Request&) { return Unreadable(); })),
              StatusIs(kFailedPrecondition,
                       "no KMIP version in common: the KMS offers 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, "
                       "2.0, 2.0, ...; we speak 1.0 to 1.4"));
}

TEST_F(SessionTest, FirstErrorIsTheOneReported) {
  EXPECT_THAT(Open([](const Request& request) {
                return Refusal(request, ResultReason::kGeneralFailure,
                               "header " + request.version.ToString());
              }),
              StatusIs(absl::StatusCode::kInternal,
                       "KMIP DiscoverVersions refused: GeneralFailure: header 1.1"));
  EXPECT_THAT(kms_.headers(), ElementsAre("1.1", "1.4", "1.3", "1.2", "1.0"));
}

TEST_F(SessionTest, RefusalOfTheClientIsNotTriedAgainInOtherVersions) {
  EXPECT_THAT(Open([](const Request& request) {
                return Refusal(request, ResultReason::kAuthenticationNotSuccessful, "who?");
              }),
              StatusIs(absl::StatusCode::kUnauthenticated,
                       "KMIP DiscoverVersions refused: AuthenticationNotSuccessful: who?"));
  EXPECT_THAT(kms_.headers(), ElementsAre("1.1"));
}

TEST_F(SessionTest, SilenceIsNotTriedAgainInOtherVersions) {
  EXPECT_THAT(Open([](const Request&) { return Silent(); }),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       "KMIP DiscoverVersions: kms: read: no answer in time"));
  EXPECT_EQ(kms_.dials(), 1);
}

TEST_F(SessionTest, FailedDialIsPassedOn) {
  kms_.FailDial(absl::UnauthenticatedError("the KMS's certificate is refused"));
  EXPECT_THAT(Open(NotExpected),
              StatusIs(absl::StatusCode::kUnauthenticated, "the KMS's certificate is refused"));
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

TEST_F(SessionTest, Server11WithEncryptAndDecryptIsTaken) {
  const auto session = Open(Old({{1, 1}, {1, 0}}, {Operation::kDecrypt, Operation::kEncrypt}));
  ASSERT_THAT(session, IsOk());
  EXPECT_EQ((*session)->version(), (ProtocolVersion{1, 1}));
  EXPECT_THAT(kms_.operations(), ElementsAre(Operation::kDiscoverVersions, Operation::kQuery));
}

TEST_F(SessionTest, Server11WithoutThemIsNot) {
  EXPECT_THAT(Open(Old({{1, 1}, {1, 0}}, {Operation::kLocate, Operation::kDecrypt})),
              StatusIs(kFailedPrecondition,
                       "the KMS speaks at most KMIP 1.1 and has no Encrypt; KMIP 1.2 or later is "
                       "needed"));
  EXPECT_THAT(Open(Old({{1, 1}, {1, 0}}, {Operation::kEncrypt})),
              StatusIs(kFailedPrecondition,
                       "the KMS speaks at most KMIP 1.1 and has no Decrypt; KMIP 1.2 or later is "
                       "needed"));
}

TEST_F(SessionTest, Server11ThatRefusesQueryIsNot) {
  EXPECT_THAT(
      Open(Speaks({{1, 1}},
                  [](const Request& request) {
                    return Refusal(request, ResultReason::kPermissionDenied);
                  })),
      StatusIs(absl::StatusCode::kPermissionDenied, "KMIP Query refused: PermissionDenied: no"));
}

TEST_F(SessionTest, Server10OnlyIsAskedByQuery) {
  const auto session = Open(Old({{1, 0}}, {Operation::kEncrypt, Operation::kDecrypt}));
  ASSERT_THAT(session, IsOk());
  EXPECT_EQ((*session)->version(), (ProtocolVersion{1, 0}));
  EXPECT_THAT(kms_.headers(), ElementsAre("1.1", "1.4", "1.3", "1.2", "1.0"));
  EXPECT_EQ(kms_.operations().back(), Operation::kQuery);
}

TEST_F(SessionTest, Server10OnlyWithoutCryptographyIsNot) {
  EXPECT_THAT(Open(Old({{1, 0}}, {Operation::kLocate})),
              StatusIs(kFailedPrecondition,
                       "the KMS speaks at most KMIP 1.0 and has no Encrypt; KMIP 1.2 or later is "
                       "needed"));
}

TEST_F(SessionTest, Server10OnlyIsAskedForDiscoverVersionsWheneverItIsNegotiatedWith) {
  ASSERT_THAT(Open(Old({{1, 0}}, {Operation::kEncrypt, Operation::kDecrypt})), IsOk());
  EXPECT_EQ(known_.version(), (ProtocolVersion{1, 0}));
  EXPECT_EQ(known_.header(), (ProtocolVersion{1, 1}));
}

// With an open session.
class SessionCallTest : public SessionTest {
 protected:
  // The result of one call that is answered by `handler`.
  absl::Status CallStatus(Handler handler) {
    auto session = Open(Speaks({{1, 4}}, std::move(handler)));
    EXPECT_THAT(session, IsOk());
    session_ = *std::move(session);
    return session_->Call(LocateRequest{"etcd", {}, {}}, Later()).status();
  }

  std::unique_ptr<Session> session_;
};

TEST_F(SessionCallTest, GivesTheReply) {
  EXPECT_THAT(
      CallStatus([](const Request& request) { return Success(request, LocateResponse{{"id"}}); }),
      IsOk());
  EXPECT_TRUE(session_->usable());
  EXPECT_TRUE(session_->IsQuiet());
}

TEST_F(SessionCallTest, RefusalKeepsTheSession) {
  EXPECT_THAT(CallStatus([](const Request& request) {
                return Refusal(request, ResultReason::kItemNotFound, "gone");
              }),
              StatusIs(absl::StatusCode::kNotFound, "KMIP Locate refused: ItemNotFound: gone"));
  EXPECT_TRUE(session_->usable());
  EXPECT_TRUE(session_->IsQuiet());
}

TEST_F(SessionCallTest, CloseBreaksTheSession) {
  EXPECT_THAT(
      CallStatus([](const Request&) { return Closed(); }),
      StatusIs(absl::StatusCode::kUnavailable, "KMIP Locate: kms: read: closed by the KMS"));
  EXPECT_FALSE(session_->usable());
  EXPECT_FALSE(session_->IsQuiet());
}

TEST_F(SessionCallTest, CloseInTheMiddleOfAReplyBreaksTheSession) {
  EXPECT_THAT(
      CallStatus([](const Request& request) {
        Reply reply = Success(request, LocateResponse{{"id"}});
        reply.bytes.resize(reply.bytes.size() / 2);
        reply.end = absl::UnavailableError("kms: read: closed by the KMS");
        return reply;
      }),
      StatusIs(absl::StatusCode::kUnavailable, "KMIP Locate: kms: read: closed by the KMS"));
  EXPECT_FALSE(session_->usable());
}

TEST_F(SessionCallTest, SilenceBreaksTheSession) {
  EXPECT_THAT(
      CallStatus([](const Request&) { return Silent(); }),
      StatusIs(absl::StatusCode::kDeadlineExceeded, "KMIP Locate: kms: read: no answer in time"));
  EXPECT_FALSE(session_->usable());
}

TEST_F(SessionCallTest, OversizedLengthBreaksTheSession) {
  EXPECT_THAT(
      CallStatus([](const Request&) { return Bytes(FromHex("42007b01 7fffffff")); }),
      StatusIs(kDataLoss,
               "KMIP Locate: malformed TTLV: item 0x42007b has length 2147483647, the limit "
               "is 1048568"));
  EXPECT_FALSE(session_->usable());
}

TEST_F(SessionCallTest, AnswerOfAWebServerNamesThePort) {
  EXPECT_THAT(
      CallStatus([](const Request&) { return Bytes("HTTP/1.1 400 Bad Request\r\n"); }),
      StatusIs(kDataLoss,
               "KMIP Locate: the answer is HTTP, not KMIP; KMIP answers at port 5696 of the "
               "KMS: check --serv-addr"));
  EXPECT_FALSE(session_->usable());
}

TEST_F(SessionCallTest, GarbageBreaksTheSession) {
  EXPECT_THAT(
      CallStatus([](const Request&) { return Bytes("HTT /1.1 400 Bad Request\r\n"); }),
      StatusIs(kDataLoss, "KMIP Locate: malformed TTLV: item 0x485454 is not a message structure"));
  EXPECT_FALSE(session_->usable());
}

TEST_F(SessionCallTest, MalformedMessageBreaksTheSession) {
  EXPECT_THAT(CallStatus([](const Request&) {
                return Bytes(FromHex("42007b01 00000010 42007a02 00000008 0000000000000001"));
              }),
              StatusIs(kDataLoss,
                       "KMIP Locate: malformed TTLV: item 0x42007a has length 8, not one "
                       "of type 2"));
  EXPECT_FALSE(session_->usable());
}

TEST_F(SessionCallTest, ReplyOfAnotherMinorVersionIsTaken) {
  for (const int32_t minor : {0, 2, 9}) {
    EXPECT_THAT(CallStatus([=](Request request) {
                  request.version = {1, minor};
                  return Success(request, LocateResponse{{"id"}});
                }),
                IsOk());
  }
}

TEST_F(SessionCallTest, ReplyOfAnotherMajorVersionBreaksTheSession) {
  EXPECT_THAT(CallStatus([](Request request) {
                request.version = {2, 0};
                return Success(request, LocateResponse{{"id"}});
              }),
              StatusIs(kDataLoss, "KMIP Locate: the reply is in version 2.0"));
  EXPECT_FALSE(session_->usable());
}

TEST_F(SessionCallTest, EachRequestHasAnIdOfItsOwn) {
  EXPECT_THAT(
      CallStatus([](const Request& request) { return Success(request, LocateResponse{{"id"}}); }),
      IsOk());
  ASSERT_THAT(session_->Call(LocateRequest{"etcd", {}, {}}, Later()), IsOk());
  std::set<std::string> ids;
  for (const Seen& seen : kms_.seen()) {
    ids.emplace(AsText(Request::Decode(AsBytes(seen.bytes))->front().batch_item_id));
  }
  EXPECT_THAT(ids, ::testing::SizeIs(3));  // that of Discover Versions too
  EXPECT_THAT(ids, Each(::testing::SizeIs(8)));
}

TEST_F(SessionCallTest, ReplyWithAnotherIdBreaksTheSession) {
  for (const std::string id : {"87654321", "1", "123456789"}) {
    EXPECT_THAT(CallStatus([&](Request request) {
                  request.batch_item_id = AsBytes(id);
                  return Success(request, LocateResponse{{"id"}});
                }),
                StatusIs(kDataLoss, "KMIP Locate: this is the reply to another request"));
    EXPECT_FALSE(session_->usable());
  }
}

TEST_F(SessionCallTest, RefusalWithAnotherIdBreaksTheSession) {
  EXPECT_THAT(CallStatus([](Request request) {
                request.batch_item_id = AsBytes("87654321");
                return Refusal(request, ResultReason::kItemNotFound);
              }),
              StatusIs(kDataLoss, "KMIP Locate: this is the reply to another request"));
  EXPECT_FALSE(session_->usable());
}

TEST_F(SessionCallTest, ReplyWithoutAnIdBreaksTheSessionOnceTheServerEchoedOne) {
  for (const bool refusal : {false, true}) {
    EXPECT_THAT(
        CallStatus([&](Request request) {
          request.batch_item_id = {};
          return refusal ? Refusal(request, ResultReason::kItemNotFound)
                         : Success(request, LocateResponse{{"id"}});
        }),
        StatusIs(
            kDataLoss,
            "KMIP Locate: the reply has no batch item id, which this KMS gives back otherwise"));
    EXPECT_FALSE(session_->usable());
  }
}

TEST_F(SessionCallTest, RefusalOfTheWholeMessageNeedsNoId) {
  EXPECT_THAT(CallStatus([](const Request&) { return Unreadable(); }),
              StatusIs(kFailedPrecondition, ::testing::_));
  EXPECT_TRUE(session_->usable());
}

TEST_F(SessionTest, ServerThatNeverEchoesIdsIsServed) {
  const auto session = Open([](Request request) {
    request.batch_item_id = {};
    return request.operation == Operation::kDiscoverVersions
               ? Success(request, DiscoverVersionsResponse{{{1, 4}}})
               : Success(request, LocateResponse{{"id"}});
  });
  ASSERT_THAT(session, IsOk());
  EXPECT_THAT((*session)->Call(LocateRequest{"etcd", {}, {}}, Later()), IsOk());
  EXPECT_TRUE((*session)->usable());
}

TEST_F(SessionCallTest, ReplyToAnotherOperationBreaksTheSession) {
  EXPECT_THAT(CallStatus([](Request request) {
                request.operation = Operation::kQuery;
                return Success(request, QueryResponse{});
              }),
              StatusIs(kDataLoss, "KMIP Locate: this is the reply to another request: Query"));
  EXPECT_FALSE(session_->usable());
}

TEST_F(SessionCallTest, PayloadThatMakesNoSenseBreaksTheSession) {
  EXPECT_THAT(CallStatus([](const Request& request) {
                return Bytes(Response::Encode(Header(request), 0, [](ttlv::Writer& writer) {
                  writer.Integer(tag::kUniqueIdentifier, 5);
                }));
              }),
              StatusIs(kDataLoss, "malformed TTLV: item 0x420094 has type 2, expected 7"));
  EXPECT_FALSE(session_->usable());
}

TEST_F(SessionCallTest, BytesBehindTheReplyAreNoticed) {
  EXPECT_THAT(CallStatus([](const Request& request) {
                Reply reply = Success(request, LocateResponse{{"id"}});
                reply.bytes += "x";
                return reply;
              }),
              IsOk());
  EXPECT_TRUE(session_->usable());
  EXPECT_FALSE(session_->IsQuiet());
}

}  // namespace
}  // namespace okms::kmip
