// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/adoption.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::IsOk;
using test::StatusIs;
using Code = absl::StatusCode;

constexpr Deadline kStart = Deadline(1000h);
constexpr auto kGrace = 15min;

const absl::Status kNone = absl::NotFoundError("no key has the label \"kek\"");
const absl::Status kSeveral = absl::FailedPreconditionError("the label \"kek\" fits 2 keys");
const absl::Status kDeactivated = absl::FailedPreconditionError("key b is in state Deactivated");

// Key a is adopted, at kStart.
class AdoptionTest : public ::testing::Test {
 protected:
  AdoptionTest() { EXPECT_TRUE(adoption_.Proven("a", kStart, kStart)); }

  // A check that takes 100 ms, and 5 s until the next one.
  bool Proven(const std::string& id) {
    const bool adopted = adoption_.Proven(id, now_, now_ + 100ms);
    now_ += 5s;
    return adopted;
  }
  void Failed(const std::string& id, const absl::Status& status = kDeactivated) {
    adoption_.Failed(id, status, now_ + 100ms);
    now_ += 5s;
  }
  void Replace(const std::string& id) {
    Proven(id);
    ASSERT_TRUE(Proven(id));
    ASSERT_EQ(adoption_.adopted(), id);
  }

  Deadline now_ = kStart + 10s;
  Adoption adoption_{kGrace};
};

// ---- The first key

TEST(Adoption, TheFirstKeyThatIsProvenIsAdoptedAtOnce) {
  Adoption adoption(kGrace);
  EXPECT_EQ(adoption.adopted(), "");
  EXPECT_TRUE(adoption.Proven("a", kStart, kStart + 1s));
  EXPECT_EQ(adoption.adopted(), "a");
  EXPECT_FALSE(adoption.Current(kStart + 1s));
  EXPECT_FALSE(adoption.pending());
}

TEST(Adoption, WithoutAKeyAFailureIsToldAndBarsNothing) {
  Adoption adoption(kGrace);
  adoption.Failed("b", kDeactivated, kStart);
  EXPECT_EQ(adoption.adopted(), "");
  ASSERT_TRUE(adoption.Current(kStart + 1s));
  EXPECT_EQ(adoption.Current(kStart + 1s)->text, "key b is in state Deactivated");
  EXPECT_TRUE(adoption.Proven("b", kStart + 5s, kStart + 6s));
  EXPECT_EQ(adoption.adopted(), "b");
}

// There is no key that could go on for a while.
TEST(Adoption, WithoutAKeyThereIsNoGrace) {
  Adoption adoption(kGrace);
  adoption.Astray(kNone, kStart);
  ASSERT_TRUE(adoption.Current(kStart + 1s));
  EXPECT_EQ(adoption.Current(kStart + 1s)->wrong, kNone);
  EXPECT_FALSE(adoption.Current(kStart + 1s)->error_from);
  EXPECT_THAT(adoption.At(kStart + 24h), IsOk());
  EXPECT_TRUE(adoption.Proven("a", kStart + 25h, kStart + 25h));
}

// ---- A label that moves

TEST_F(AdoptionTest, AnotherKeyIsAdoptedAfterTwoProofsRunning) {
  EXPECT_FALSE(Proven("b"));
  EXPECT_EQ(adoption_.adopted(), "a");
  EXPECT_TRUE(adoption_.pending());
  EXPECT_TRUE(Proven("b"));
  EXPECT_EQ(adoption_.adopted(), "b");
  EXPECT_FALSE(adoption_.pending());
  EXPECT_FALSE(adoption_.Current(now_));
}

TEST_F(AdoptionTest, OfChecksThatOverlapOneCounts) {
  EXPECT_FALSE(adoption_.Proven("b", now_, now_ + 4s));
  EXPECT_FALSE(adoption_.Proven("b", now_ + 3'999ms, now_ + 5s));
  EXPECT_FALSE(adoption_.Proven("b", now_ + 2s, now_ + 6s));
  EXPECT_EQ(adoption_.adopted(), "a");
  // After the one that counted, not after the last one that did not.
  EXPECT_TRUE(adoption_.Proven("b", now_ + 4s, now_ + 7s));
}

TEST_F(AdoptionTest, AfterAFailureTheCountStartsWithWhateverEndsFirst) {
  EXPECT_FALSE(adoption_.Proven("b", now_, now_ + 4s));
  adoption_.Failed("b", kDeactivated, now_ + 5s);
  EXPECT_FALSE(adoption_.Proven("b", now_ + 3s, now_ + 6s));
  EXPECT_TRUE(adoption_.Proven("b", now_ + 6s, now_ + 7s));
}

TEST_F(AdoptionTest, WhatComesBetweenStartsTheCountAgain) {
  const struct {
    const char* what;
    std::function<void()> between;
  } cases[] = {
      {"a failure", [this] { Failed("b"); }},
      {"another candidate", [this] { Proven("c"); }},
      {"another one that fails", [this] { Failed("c"); }},
      {"the adopted key", [this] { adoption_.Confirmed(); }},
      {"a proof of the adopted key", [this] { Proven("a"); }},
      {"a label without a key", [this] { adoption_.Astray(kNone, now_); }},
  };
  for (const auto& [what, between] : cases) {
    EXPECT_FALSE(Proven("b")) << what;
    between();
    EXPECT_FALSE(Proven("b")) << what;
    EXPECT_EQ(adoption_.adopted(), "a") << what;
    adoption_.Confirmed();
  }
}

TEST_F(AdoptionTest, ReplicasThatDisagreeNeverChangeTheKey) {
  for (const Deadline end = now_ + 1h; now_ < end;) {
    EXPECT_FALSE(Proven("b"));
    adoption_.Confirmed();
    EXPECT_EQ(adoption_.adopted(), "a");
    EXPECT_THAT(adoption_.At(now_), IsOk());
  }
}

// However they take turns: a key that was left does not come back meanwhile.
TEST_F(AdoptionTest, ReplicasThatDisagreeByTurnsOfAMinuteChangeTheKeyOnce) {
  int changes = 0;
  for (int turn = 0; turn < 60; ++turn) {
    for (const Deadline end = now_ + 1min; now_ < end;) {
      changes += Proven(turn % 2 == 0 ? "b" : "a") ? 1 : 0;
    }
  }
  EXPECT_EQ(changes, 1);
  EXPECT_EQ(adoption_.adopted(), "b");
}

TEST_F(AdoptionTest, AReplacedKeyComesBackAfterItStayedForThreeMinutes) {
  Replace("b");
  const Deadline met = now_;
  EXPECT_FALSE(adoption_.Proven("a", met, met));
  EXPECT_FALSE(adoption_.Proven("a", met + 1min, met + 1min));
  EXPECT_FALSE(adoption_.Proven("a", met + 2min, met + 3min - 1ms));
  EXPECT_EQ(adoption_.adopted(), "b");
  EXPECT_TRUE(adoption_.Proven("a", met + 2min, met + 3min));
  EXPECT_EQ(adoption_.adopted(), "a");
}

TEST_F(AdoptionTest, WhileTheAdoptedKeyIsRefusedAReplacedOneComesBackAtOnce) {
  Replace("b");
  EXPECT_FALSE(adoption_.Proven("a", now_, now_, /*in_use_refused=*/true));
  EXPECT_TRUE(adoption_.Proven("a", now_ + 5s, now_ + 5s, /*in_use_refused=*/true));
}

TEST_F(AdoptionTest, ABreakStartsTheThreeMinutesAnew) {
  Replace("b");
  const auto candidate = [this](Clock::duration time) {
    for (const Deadline end = now_ + time; now_ < end;) {
      EXPECT_FALSE(Proven("a"));
    }
  };
  candidate(170s);
  adoption_.Confirmed();
  candidate(170s);
  adoption_.Astray(kNone, now_);
  candidate(170s);
  Proven("c");
  candidate(180s);
  EXPECT_EQ(adoption_.adopted(), "b");
  EXPECT_TRUE(Proven("a"));
}

// That a proof fails does not mean that the label leads elsewhere.
TEST_F(AdoptionTest, AReplacedKeyThatFailedMeanwhileNeedsTwoProofsMore) {
  Replace("b");
  for (const Deadline end = now_ + 180s; now_ < end;) EXPECT_FALSE(Proven("a"));
  Failed("a");
  EXPECT_FALSE(Proven("a"));
  EXPECT_TRUE(Proven("a"));
}

TEST_F(AdoptionTest, EachReplacedKeyIsRemembered) {
  for (int i = 0; i < 20; ++i) Replace(absl::StrCat("key-", i));
  for (const char* old : {"a", "key-0", "key-18"}) {
    EXPECT_FALSE(Proven(old)) << old;
    EXPECT_FALSE(Proven(old)) << old;
  }
  EXPECT_EQ(adoption_.adopted(), "key-19");
}

// A KMS that gives another key each time must not fill the memory.
TEST_F(AdoptionTest, TheOldestReplacedKeysAreForgotten) {
  for (int i = 0; i < 64; ++i) Replace(absl::StrCat("key-", i));
  Proven("a");
  EXPECT_FALSE(Proven("a"));
  Replace("key-64");
  Proven("a");
  EXPECT_TRUE(Proven("a"));
}

TEST_F(AdoptionTest, ANewKeyIsToldOf) {
  Proven("b\n");
  const auto note = adoption_.Current(now_);
  ASSERT_TRUE(note);
  EXPECT_THAT(note->wrong, IsOk());
  EXPECT_EQ(note->text, "key b? works and is to be adopted");
  EXPECT_EQ(note->since, now_ - 4'900ms);
  EXPECT_FALSE(note->error_from);
}

TEST_F(AdoptionTest, AKeyThatComesBackIsToldOf) {
  Replace("b");
  Proven("a");
  EXPECT_EQ(adoption_.Current(now_)->text,
            "key a works and is to be adopted again when its name has stayed for 3 minutes");
}

TEST_F(AdoptionTest, AKeyIsToldOfBeforeItIsProven) {
  adoption_.Seen("b\n", now_);
  const auto note = adoption_.Current(now_ + 1s);
  ASSERT_TRUE(note);
  EXPECT_THAT(note->wrong, IsOk());
  EXPECT_EQ(note->text, "the key's name leads to key b? now, which is being proven");
  EXPECT_EQ(note->since, now_);
  EXPECT_FALSE(adoption_.pending());
}

TEST_F(AdoptionTest, ThatTheNameLeadsToItChangesNothingOfWhatIsKnownOfACandidate) {
  Failed("b");
  adoption_.Seen("b", now_);
  EXPECT_EQ(adoption_.Current(now_)->text, "key b is in state Deactivated");
  Proven("b");
  adoption_.Seen("b", now_);
  EXPECT_TRUE(Proven("b"));
}

TEST_F(AdoptionTest, ThatTheNameLeadsElsewhereStartsTheCountAgain) {
  Proven("b");
  adoption_.Seen("c", now_);
  EXPECT_FALSE(Proven("b"));
  adoption_.Seen("a", now_);
  EXPECT_FALSE(adoption_.Current(now_)) << "it is the adopted one";
  EXPECT_FALSE(Proven("b"));
}

// ---- A candidate that fails

TEST_F(AdoptionTest, ACandidateThatFailsIsToldOfAndNeverAnError) {
  for (const Deadline end = now_ + 72h; now_ < end; now_ += 1min) {
    Failed("b");
    ASSERT_THAT(adoption_.At(now_), IsOk());
    ASSERT_EQ(adoption_.adopted(), "a");
  }
  const auto note = adoption_.Current(now_);
  ASSERT_TRUE(note);
  EXPECT_EQ(note->wrong, kDeactivated);
  EXPECT_EQ(note->text, "key b is in state Deactivated");
  EXPECT_EQ(note->since, kStart + 10'100ms);
  EXPECT_FALSE(note->error_from);
  EXPECT_FALSE(adoption_.pending());
}

TEST_F(AdoptionTest, ACandidateThatIsMendedIsAdopted) {
  Failed("b");
  EXPECT_FALSE(Proven("b"));
  EXPECT_THAT(adoption_.Current(now_)->wrong, IsOk());
  EXPECT_TRUE(Proven("b"));
}

TEST_F(AdoptionTest, TheLastFailureIsTold) {
  Failed("b");
  Failed("b", absl::PermissionDeniedError("key b: denied"));
  EXPECT_EQ(adoption_.Current(now_)->text, "key b: denied");
  Failed("c", absl::PermissionDeniedError("key c: denied"));
  EXPECT_EQ(adoption_.Current(now_)->text, "key c: denied");
  EXPECT_EQ(adoption_.Current(now_)->since, now_ - 4'900ms);
  adoption_.Confirmed();
  EXPECT_FALSE(adoption_.Current(now_));
}

// ---- A label of which the KMS says nothing

TEST_F(AdoptionTest, WhereTheNameLeadsIsMissedAfterTenSeconds) {
  adoption_.Untold(absl::UnavailableError("refused"), now_);
  EXPECT_FALSE(adoption_.Current(now_ + 9'999ms));
  adoption_.Untold(absl::DeadlineExceededError("late"), now_ + 5s);
  const auto note = adoption_.Current(now_ + 10s);
  ASSERT_TRUE(note);
  EXPECT_EQ(note->text, "the KMS does not say where it leads: late");
  EXPECT_EQ(note->since, now_);
  EXPECT_FALSE(note->error_from);
  EXPECT_THAT(adoption_.At(now_ + 25h), IsOk()) << "it says nothing against the key";
}

TEST_F(AdoptionTest, ARefusalToSayWhereItLeadsIsToldAtOnce) {
  adoption_.Untold(absl::PermissionDeniedError("no right to Locate"), now_);
  ASSERT_TRUE(adoption_.Current(now_));
  EXPECT_EQ(adoption_.Current(now_)->text,
            "the KMS does not say where it leads: no right to Locate");
  EXPECT_THAT(adoption_.At(now_ + 25h), IsOk());
}

TEST_F(AdoptionTest, WhateverTheKmsSaysOfTheNameEndsIt) {
  const std::function<void()> cases[] = {[this] { adoption_.Confirmed(); },
                                         [this] { adoption_.Astray(kNone, now_); },
                                         [this] { Failed("b"); }, [this] { Proven("b"); }};
  for (const auto& said : cases) {
    adoption_.Untold(absl::PermissionDeniedError("no right to Locate"), now_);
    said();
    adoption_.Confirmed();
    EXPECT_FALSE(adoption_.Current(now_));
    adoption_.Untold(absl::UnavailableError("refused"), now_);
    EXPECT_FALSE(adoption_.Current(now_));
    adoption_.Confirmed();
  }
}

// What was said before may be mended by now.
TEST_F(AdoptionTest, WhenTheKmsSaysNoMoreTheGraceEnds) {
  adoption_.Astray(kNone, now_);
  adoption_.Untold(absl::PermissionDeniedError("no right to Locate"), now_ + 1s);
  EXPECT_THAT(adoption_.At(now_ + kGrace), IsOk());
  EXPECT_THAT(adoption_.Current(now_ + 1s)->text, testing::HasSubstr("no right to Locate"));

  adoption_.Astray(kNone, now_);
  adoption_.Untold(absl::UnavailableError("refused"), now_ + 1s);
  EXPECT_EQ(adoption_.Current(now_ + 1min)->text, "no key has the label \"kek\"") << "a moment";
  adoption_.Untold(absl::UnavailableError("refused"), now_ + 11s);
  EXPECT_THAT(adoption_.At(now_ + kGrace), IsOk());
  EXPECT_THAT(adoption_.Current(now_ + 11s)->text, testing::HasSubstr("refused"));
}

// ---- A label that leads astray

TEST_F(AdoptionTest, ALabelMayLeadAstrayForTheGrace) {
  adoption_.Astray(kSeveral, now_);
  adoption_.Astray(kNone, now_ + 1min);
  EXPECT_EQ(adoption_.adopted(), "a");
  EXPECT_THAT(adoption_.At(now_ + kGrace - 1ms), IsOk());
  EXPECT_THAT(adoption_.At(now_ + kGrace),
              StatusIs(Code::kNotFound, "no key has the label \"kek\""));
  const auto note = adoption_.Current(now_);
  ASSERT_TRUE(note);
  EXPECT_EQ(note->wrong, kNone);
  EXPECT_EQ(note->text, "no key has the label \"kek\"");
  EXPECT_EQ(note->since, now_);
  EXPECT_EQ(note->error_from, now_ + kGrace);
}

TEST_F(AdoptionTest, GraceStartsAnewWhenTheLabelLedToAKeyAgain) {
  const struct {
    const char* what;
    std::function<void()> found;
  } cases[] = {
      {"the adopted key", [this] { adoption_.Confirmed(); }},
      {"another key", [this] { Proven("b"); }},
      {"another key that fails", [this] { Failed("b"); }},
  };
  for (const auto& [what, found] : cases) {
    adoption_.Astray(kNone, now_);
    now_ += kGrace;
    EXPECT_FALSE(adoption_.At(now_).ok()) << what;
    found();
    EXPECT_THAT(adoption_.At(now_), IsOk()) << what;
    adoption_.Astray(kNone, now_);
    EXPECT_THAT(adoption_.At(now_ + kGrace - 1ms), IsOk()) << what;
    EXPECT_FALSE(adoption_.At(now_ + kGrace).ok()) << what;
    adoption_.Confirmed();
  }
}

TEST_F(AdoptionTest, AGraceOfNothingIsAnErrorAtOnce) {
  Adoption adoption(0ms);
  adoption.Proven("a", kStart, kStart);
  adoption.Astray(kNone, now_);
  EXPECT_THAT(adoption.At(now_), StatusIs(Code::kNotFound, "no key has the label \"kek\""));
}

}  // namespace
}  // namespace okms
