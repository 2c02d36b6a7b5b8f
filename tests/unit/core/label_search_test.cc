// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/label_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"
#include "unit/core/fake_backend.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::FakeBackend;
using test::IsOk;
using test::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using Code = absl::StatusCode;
using Labels = std::vector<std::string>;

constexpr Deadline kStart = Deadline(1000h);

KeyInfo Active(Labels labels = {"etcd-prod"}) { return test::ActiveKey(std::move(labels)); }
KeyInfo Deactivated(Labels labels = {"etcd-prod"}) {
  return test::DeactivatedKey(std::move(labels));
}
KeyInfo Hidden() { return {}; }

class LabelSearchTest : public ::testing::Test {
 protected:
  void Find(KnownKeys known = {}, const std::string& label = "etcd-prod") {
    operations_ = 0;
    found_.reset();
    FindByLabel(
        backend_, label, std::move(known), [this] { return kStart + ++operations_ * 1s; },
        [this](LabelAnswer answer) {
          ASSERT_FALSE(found_) << "answered twice";
          found_ = std::move(answer.key);
          told_ = answer.told;
        });
  }
  auto Located(std::vector<std::string> ids, bool remembered = false) {
    return FakeBackend::Answer<okms::Located>(backend_.locate,
                                              okms::Located{std::move(ids), remembered});
  }
  // The KMS is asked for that key next.
  void Inspected(const std::string& id, absl::StatusOr<KeyInfo> info) {
    ASSERT_THAT(backend_.inspect, SizeIs(1)) << id;
    EXPECT_EQ(FakeBackend::Answer<KeyInfo>(backend_.inspect, std::move(info)).name, id);
  }
  // What was found; an error while nothing was.
  absl::StatusOr<LabelledKey> Found() {
    EXPECT_EQ(backend_.pending(), 0u);
    return found_.value_or(absl::UnknownError("the search has not ended"));
  }
  std::string FoundId() {
    const auto found = Found();
    return found.ok() ? found->id : found.status().ToString();
  }

  FakeBackend backend_;
  int operations_ = 0;
  std::optional<absl::StatusOr<LabelledKey>> found_;
  bool told_ = false;
};

// ---- One key

TEST_F(LabelSearchTest, TheOneKeyOfTheLabelIsFound) {
  Find();
  const auto locate = Located({"k1"});
  EXPECT_EQ(locate.name, "etcd-prod");
  EXPECT_EQ(locate.deadline, kStart + 1s);
  ASSERT_THAT(backend_.inspect, SizeIs(1));
  EXPECT_EQ(backend_.inspect.front().deadline, kStart + 2s);
  EXPECT_FALSE(found_);
  Inspected("k1", Active({"other", "etcd-prod"}));
  ASSERT_EQ(FoundId(), "k1");
  EXPECT_EQ(Found()->info.labels, (Labels{"other", "etcd-prod"}));
  EXPECT_TRUE(Found()->info.active);
}

TEST_F(LabelSearchTest, NoKeyIsAVerdict) {
  Find();
  Located({});
  EXPECT_THAT(Found(), StatusIs(Code::kNotFound,
                                "no active symmetric key has the label \"etcd-prod\", or this "
                                "client may not see it"));
}

TEST_F(LabelSearchTest, AKeyThatHidesItsLabelDoesNotCountBesideOneThatShowsIt) {
  Find();
  Located({"k1", "k2"});
  Inspected("k1", Deactivated());
  Inspected("k2", test::ActiveKey());
  EXPECT_THAT(Found(), StatusIs(Code::kFailedPrecondition,
                                "the label \"etcd-prod\" fits no active key: key k1 is in state "
                                "Deactivated, not Active; key k2 hides its label"));
}

TEST_F(LabelSearchTest, TheSameIdTwiceIsOneKey) {
  Find();
  Located({"k1", "k1", "k1"});
  Inspected("k1", Active());
  EXPECT_EQ(FoundId(), "k1");
  EXPECT_EQ(operations_, 2);
}

TEST_F(LabelSearchTest, AKeyThatIsAloneIsGivenThoughItIsUnfit) {
  Find();
  Located({"k1"});
  Inspected("k1", Deactivated());
  ASSERT_EQ(FoundId(), "k1");
  EXPECT_EQ(WhyUnfit(Found()->info), "is in state Deactivated, not Active");
}

TEST_F(LabelSearchTest, HiddenLabelsAreLeftToTheCaller) {
  Find();
  Located({"k1"});
  Inspected("k1", Hidden());
  ASSERT_EQ(FoundId(), "k1");
  EXPECT_FALSE(Found()->info.labels);
}

// ---- A server that ignores the name

TEST_F(LabelSearchTest, AKeyOfAnotherLabelIsRefused) {
  Find();
  Located({"X"});
  Inspected("X", Active({"kms-master-kek"}));
  EXPECT_THAT(Found(), StatusIs(Code::kFailedPrecondition,
                                "key X has the label \"kms-master-kek\", not \"etcd-prod\""));
}

// Shown, and none: that is not hidden.
TEST_F(LabelSearchTest, AKeyWithoutALabelIsRefused) {
  Find();
  Located({"X"});
  Inspected("X", Active({}));
  EXPECT_THAT(Found(), StatusIs(Code::kFailedPrecondition, HasSubstr("not \"etcd-prod\"")));
}

TEST_F(LabelSearchTest, ALabelIsComparedAsAWhole) {
  for (const char* other : {"etcd-prod2", "etcd-pro", "ETCD-PROD", ""}) {
    Find();
    Located({"X"});
    Inspected("X", Active({other}));
    EXPECT_THAT(Found(), StatusIs(Code::kFailedPrecondition, HasSubstr("key X has the label")));
  }
}

TEST_F(LabelSearchTest, AmongKeysOfOtherLabelsTheOneIsFound) {
  Find();
  Located({"X", "k1", "Y"});
  Inspected("X", Active({"kms-master-kek"}));
  Inspected("k1", Active());
  Inspected("Y", Active({}));
  EXPECT_EQ(FoundId(), "k1");
  EXPECT_EQ(operations_, 4) << "a deadline each";
}

// ---- Several

TEST_F(LabelSearchTest, TheOnlyActiveOneOfSeveralIsTheOne) {
  Find();
  Located({"k1", "k2", "k3"});
  Inspected("k1", Deactivated());
  Inspected("k2", Active());
  Inspected("k3", Deactivated());
  EXPECT_EQ(FoundId(), "k2");
}

TEST_F(LabelSearchTest, SeveralActiveKeysAreAVerdict) {
  Find();
  Located({"k1", "k2", "k3"});
  Inspected("k1", Active());
  Inspected("k2", Deactivated());
  Inspected("k3", Active());
  EXPECT_THAT(Found(), StatusIs(Code::kFailedPrecondition,
                                "the label \"etcd-prod\" fits 2 active keys (k1, k3); rename all "
                                "but one, or name the key by its id"));
}

TEST_F(LabelSearchTest, OfAKeyThatHidesItsLabelNothingIsShownAgainstIt) {
  Find();
  Located({"k1", "k2"});
  Inspected("k1", Active());
  Inspected("k2", Hidden());
  EXPECT_THAT(Found(), StatusIs(Code::kFailedPrecondition, HasSubstr("fits 2 active keys")));
}

TEST_F(LabelSearchTest, SeveralOfWhichNoneIsFitAreEachNamedWithTheReason) {
  Find();
  Located({"k1", "X"});
  Inspected("k1", Deactivated());
  Inspected("X", Active({"kms-master-kek", "b"}));
  EXPECT_THAT(
      Found(),
      StatusIs(Code::kFailedPrecondition,
               "the label \"etcd-prod\" fits no active key: key k1 is in state Deactivated, not "
               "Active; key X has the label \"kms-master-kek\", \"b\", not "
               "\"etcd-prod\""));
}

TEST_F(LabelSearchTest, MoreThanEightAreNotAskedFor) {
  std::vector<std::string> ids;
  for (int i = 0; i < 9; ++i) ids.push_back(absl::StrCat("k", i));
  Find();
  Located(ids);
  EXPECT_THAT(Found(), StatusIs(Code::kFailedPrecondition,
                                "the label \"etcd-prod\" fits 9 keys (k0, k1, k2, k3, k4, k5, k6, "
                                "k7, ...); rename all but one, or name the key by its id"));
  EXPECT_EQ(operations_, 1);
}

TEST_F(LabelSearchTest, EightAreAskedFor) {
  std::vector<std::string> ids;
  for (int i = 0; i < 8; ++i) ids.push_back(absl::StrCat("k", i));
  ids.push_back("k0");  // a ninth would be too many
  Find();
  Located(ids);
  for (int i = 0; i < 7; ++i) Inspected(absl::StrCat("k", i), Deactivated());
  Inspected("k7", Active());
  EXPECT_EQ(FoundId(), "k7");
}

// ---- Answers that differ

TEST_F(LabelSearchTest, AKeyThatWentMeanwhileDoesNotCount) {
  Find();
  Located({"k1", "k2", "k3"});
  Inspected("k1", absl::NotFoundError("no such key"));
  Inspected("k2", Active());
  Inspected("k3", absl::NotFoundError("no such key"));
  EXPECT_EQ(FoundId(), "k2");

  Find();
  Located({"k1"});
  Inspected("k1", absl::NotFoundError("no such key"));
  EXPECT_THAT(Found(), StatusIs(Code::kNotFound, HasSubstr("no active symmetric key")));
}

TEST_F(LabelSearchTest, AKeyWithoutAnIdMakesNoSense) {
  for (const auto& ids : {std::vector<std::string>{""}, {"k1", ""}}) {
    Find();
    Located(ids);
    EXPECT_THAT(Found(), StatusIs(Code::kDataLoss, "the KMS found a key without an id"));
  }
}

TEST_F(LabelSearchTest, OtherErrorsPassThrough) {
  for (const Code code : {Code::kUnavailable, Code::kDeadlineExceeded, Code::kPermissionDenied,
                          Code::kUnauthenticated, Code::kCancelled}) {
    Find();
    FakeBackend::Answer<okms::Located>(backend_.locate, absl::Status(code, "away"));
    EXPECT_THAT(Found(), StatusIs(code, "away"));
    EXPECT_FALSE(told_);

    Find();
    Located({"k1", "k2"});
    Inspected("k1", Active());
    Inspected("k2", absl::Status(code, "away"));
    EXPECT_THAT(Found(), StatusIs(code, "away"));
    EXPECT_FALSE(told_);
  }
  // That one is of a search, not of a key.
  Find();
  FakeBackend::Answer<okms::Located>(backend_.locate, absl::NotFoundError("no such service"));
  EXPECT_THAT(Found(), StatusIs(Code::kNotFound, "no such service"));
  EXPECT_FALSE(told_) << "not that there is no such key";
  Find();
  Located({});
  EXPECT_THAT(Found(), StatusIs(Code::kNotFound, testing::_));
  EXPECT_TRUE(told_);
}

// ---- What is known already

TEST_F(LabelSearchTest, KnownKeysAreNotInspectedAgain) {
  Find({{"k1", Active()}});
  Located({"k1"});
  EXPECT_EQ(FoundId(), "k1");
  EXPECT_EQ(operations_, 1);

  Find({{"k2", Deactivated()}, {"elsewhere", Active()}});
  Located({"k1", "k2", "k3"});
  Inspected("k1", Deactivated());
  Inspected("k3", Active());
  EXPECT_EQ(FoundId(), "k3");
}

TEST_F(LabelSearchTest, AKnownKeyCountsAsOneThatWasAskedFor) {
  Find({{"k2", Active()}});
  Located({"k1", "k2"});
  Inspected("k1", Active());
  EXPECT_THAT(Found(), StatusIs(Code::kFailedPrecondition, HasSubstr("(k1, k2)")));
}

TEST_F(LabelSearchTest, WhereALabelLedIsBelievedWhileTheKeySaysTheSame) {
  Find();
  Located({"k1"}, /*remembered=*/true);
  Inspected("k1", Active());
  EXPECT_EQ(FoundId(), "k1");
}

TEST_F(LabelSearchTest, WhereALabelLedIsAskedAgainOnceTheKeySaysOtherwise) {
  const std::pair<const char*, absl::StatusOr<KeyInfo>> cases[] = {
      {"another label", Active({"old"})},
      {"unfit", Deactivated()},
      {"gone", absl::NotFoundError("no such key")},
      {"hidden", Hidden()},
  };
  for (const auto& [what, info] : cases) {
    SCOPED_TRACE(what);
    Find();
    Located({"k1"}, /*remembered=*/true);
    Inspected("k1", info);
    ASSERT_THAT(backend_.locate, SizeIs(1));
    EXPECT_EQ(backend_.locate.front().name, "etcd-prod");
    EXPECT_EQ(backend_.locate.front().deadline, kStart + 3s);
    Located({"k2"});
    Inspected("k2", Active());
    EXPECT_EQ(FoundId(), "k2");
  }
}

// Of the key itself too, since it may have changed with the label.
TEST_F(LabelSearchTest, TheSecondTimeKnownKeysAreAskedForAsWell) {
  Find({{"k1", Active({"old"})}});
  Located({"k1"}, /*remembered=*/true);
  Located({"k1"});
  Inspected("k1", Active());
  EXPECT_EQ(FoundId(), "k1");
}

TEST_F(LabelSearchTest, ALabelIsNotAskedAThirdTime) {
  Find();
  Located({"k1"}, /*remembered=*/true);
  Inspected("k1", Active({"old"}));
  Located({"k1"}, /*remembered=*/true);  // by another search meanwhile
  Inspected("k1", Active({"old"}));
  EXPECT_THAT(Found(), StatusIs(Code::kFailedPrecondition, HasSubstr("has the label \"old\"")));
}

// ---- Words

TEST_F(LabelSearchTest, BytesThatAreUnusualAreMadePrintable) {
  const std::string label = "etcd\nprod";
  const auto clean = AllOf(Not(HasSubstr("\n")), Not(HasSubstr("\x1b")));
  Find({}, label);
  EXPECT_EQ(Located({}).name, label) << "the KMS is asked for it as it is";
  EXPECT_THAT(Found(), StatusIs(Code::kNotFound, AllOf(HasSubstr("\"etcd?prod\""), clean)));

  Find({}, label);
  Located({"k\n1"});
  Inspected("k\n1", Active({"\x1b[2J"}));
  EXPECT_THAT(Found(), StatusIs(Code::kFailedPrecondition,
                                "key k?1 has the label \"?[2J\", not \"etcd?prod\""));

  Find({}, label);
  Located({"k\n1", "k2"});
  Inspected("k\n1", Active({label}));
  Inspected("k2", Active({label}));
  EXPECT_THAT(Found(), StatusIs(Code::kFailedPrecondition, AllOf(HasSubstr("(k?1, k2)"), clean)));
}

TEST_F(LabelSearchTest, LongNamesAreCut) {
  const std::string lengthy(100'000, 'x');
  Find();
  Located({lengthy, lengthy + "y"});
  Inspected(lengthy, Active());
  Inspected(lengthy + "y", Active());
  ASSERT_FALSE(Found().ok());
  EXPECT_LT(Found().status().message().size(), 1000u);

  Find();
  Located({lengthy});
  Inspected(lengthy, Active({lengthy}));
  ASSERT_FALSE(Found().ok());
  EXPECT_LT(Found().status().message().size(), 1000u);
}

}  // namespace
}  // namespace okms
