// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// With real files, a KMS whose answers the test gives, and the time of the test.

#include "app/reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"
#include "unit/core/fake_backend.h"

namespace okms {
namespace {

namespace fs = std::filesystem;

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::ActiveKey;
using test::FakeBackend;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

// It cancels what is under way, as a real one does.
class Kms : public FakeBackend {
 public:
  explicit Kms(std::vector<Kms*>& all) : all_(all) { all_.push_back(this); }
  ~Kms() override {
    std::erase(all_, this);
    while (!inspect.empty()) Answer(inspect, absl::StatusOr<KeyInfo>(absl::CancelledError("end")));
    while (!encrypt.empty()) {
      Answer(encrypt, absl::StatusOr<Ciphertext>(absl::CancelledError("end")));
    }
  }
  void Refuse(const absl::Status& status) { Answer(inspect, absl::StatusOr<KeyInfo>(status)); }
  // As one whose key is active, for both operations.
  void Prove() {
    Answer(inspect, absl::StatusOr<KeyInfo>(ActiveKey()));
    const std::string plaintext = encrypt.front().input;
    Answer(encrypt, absl::StatusOr<Ciphertext>(Ciphertext{std::string(60, 'c'), {}}));
    Answer(decrypt, absl::StatusOr<Secret>(test::Plain(plaintext)));
  }

 private:
  std::vector<Kms*>& all_;
};

class ReloadTest : public ::testing::Test {
 protected:
  explicit ReloadTest(std::size_t hosts = 1) : pki_(*test::TestPki::Create(directory_.path())) {
    Issue();
    credentials_.emplace(TlsFiles{
        {"--client-cert", pair_.certificate}, {"--client-key", pair_.key}, {"--ca", pki_.ca()}});
    for (std::size_t i = 0; i < hosts; ++i) {
      owned_.push_back(std::make_unique<ReplaceableBackend>(std::make_unique<Kms>(in_use_)));
    }
    health_.key_id = "key-1";
    Restart();
  }
  void Restart() {
    std::vector<ReplaceableBackend*> servers;
    for (const auto& each : owned_) servers.push_back(each.get());
    reload_.emplace(
        Reload::Parts{*credentials_, servers, [this](const auto&) { return MakeHosts(); },
                      [this] { return health_; }, state_, log_, seconds(10)},
        [this] { return now_; });
    reload_->Tick();
  }
  absl::StatusOr<std::vector<Proof::Host>> MakeHosts() {
    ++made_;
    std::vector<Proof::Host> hosts;
    for (std::size_t i = 0; i < owned_.size(); ++i) {
      hosts.push_back({absl::StrCat("kms-", i), std::make_unique<Kms>(candidates_)});
    }
    return hosts;
  }
  void Issue(long valid_from = -3600, long valid_until = 3600) {
    pair_ = *pki_.Issue(
        "client", {.common_name = "client", .valid_from = valid_from, .valid_until = valid_until});
  }
  // Ticks as the loop does, for so long.
  void Pass(Clock::duration time) {
    const Deadline until = now_ + time;
    Deadline next = reload_->Tick();
    while (next <= until) {
      ASSERT_GT(next, now_) << "a loop without end";
      now_ = next;
      next = reload_->Tick();
    }
    now_ = until;
  }
  void Ask() {
    reload_->Ask();
    reload_->Tick();
  }
  const TlsContext* InUse() const { return credentials_->tls()->get(); }
  Kms& Candidate(std::size_t i = 0) { return *candidates_.at(i); }

  const test::TempDir directory_;
  test::TestPki pki_;
  test::KeyPairFiles pair_;
  std::optional<Credentials> credentials_;
  std::vector<Kms*> in_use_;
  std::vector<Kms*> candidates_;  // those that are alive, taken ones among them
  int made_ = 0;
  std::vector<std::unique_ptr<ReplaceableBackend>> owned_;
  Health health_;
  ServiceState state_;
  std::vector<std::string> lines_;
  const Logger log_{false, [this](const Event& event) { lines_.push_back(event.text); }};
  Deadline now_{std::chrono::hours(1)};
  std::optional<Reload> reload_;
};

TEST_F(ReloadTest, NothingIsReadWhileNothingChanges) {
  Pass(std::chrono::hours(1));
  EXPECT_EQ(made_, 0);
  EXPECT_THAT(lines_, IsEmpty());
  EXPECT_EQ(reload_->trouble(), "");
}

TEST_F(ReloadTest, AChangeIsSeenWithinAMinuteAndTakenWhenItIsProven) {
  const TlsContext* const before = InUse();
  Issue();
  Pass(seconds(59));
  Pass(seconds(2));
  ASSERT_EQ(made_, 1);
  Pass(seconds(9));
  EXPECT_EQ(InUse(), before) << "nobody has proven it yet";
  EXPECT_THAT(lines_, IsEmpty());
  Candidate().Prove();
  Pass(milliseconds(250));
  EXPECT_NE(InUse(), before);
  EXPECT_THAT(lines_,
              ElementsAre(AllOf(StartsWith("certificates read again: --c"), HasSubstr(" until 20"),
                                HasSubstr("; proven with key key-1"))));
  Pass(seconds(1));
  EXPECT_THAT(in_use_, IsEmpty()) << "the one before is swept away";
  Pass(seconds(120));
  EXPECT_EQ(made_, 1);
}

TEST_F(ReloadTest, CallsGoToTheNewOne) {
  Issue();
  Ask();
  Candidate().Prove();
  Pass(seconds(1));
  owned_.front()->Inspect("key-1", Deadline::max(), [](const auto&) {});
  EXPECT_THAT(Candidate().inspect, SizeIs(1));
}

TEST_F(ReloadTest, WhoAsksIsToldThatNothingChanged) {
  Ask();
  Ask();
  EXPECT_EQ(made_, 0);
  EXPECT_THAT(lines_, ElementsAre("certificates on disk are those in use",
                                  "certificates on disk are those in use"));
}

TEST_F(ReloadTest, WrongFilesAreSaidOnceAndReadAgainWhenTheyChange) {
  fs::rename(pair_.certificate, directory_ / "elsewhere");
  Pass(seconds(600));
  const std::string what =
      absl::StrCat("certificates on disk are not taken: --client-cert ", pair_.certificate,
                   ": cannot be read: open: No such file or directory; correct the path");
  EXPECT_THAT(lines_, ElementsAre(AllOf(StartsWith(what), HasSubstr("; in use: --c"))));
  EXPECT_EQ(reload_->trouble(), what);
  Ask();
  EXPECT_THAT(lines_, SizeIs(2)) << "who asks is answered";
  fs::rename(directory_ / "elsewhere", pair_.certificate);
  Pass(seconds(5));
  EXPECT_EQ(reload_->trouble(), "");
  EXPECT_EQ(lines_.back(), "certificates on disk are those in use");
  EXPECT_EQ(made_, 0);
}

TEST_F(ReloadTest, NotValidNowIsNotTaken) {
  Issue(-7200, -3600);
  Ask();
  EXPECT_THAT(lines_, ElementsAre(AllOf(HasSubstr("not taken: --client-cert"),
                                        HasSubstr(": expired on 20"))));
  Issue(3600, 7200);
  Pass(seconds(60));
  EXPECT_THAT(lines_, ElementsAre(testing::_, HasSubstr(": not valid before 20")));
  EXPECT_EQ(made_, 0);
}

TEST_F(ReloadTest, AKmsThatIsAwayIsAskedAgainEachTenSecondsWithoutAWord) {
  Issue();
  Ask();
  for (int attempt = 1; attempt < 7; ++attempt) {
    ASSERT_EQ(made_, attempt);
    ASSERT_THAT(candidates_, SizeIs(1)) << "those that failed are gone";
    Candidate().Refuse(absl::UnavailableError(absl::StrCat("reason ", attempt)));
    Pass(seconds(9));
    EXPECT_THAT(reload_->trouble(), HasSubstr(absl::StrCat("with them, reason ", attempt)));
    Pass(seconds(2));
  }
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("not taken: with them, reason 1; in use: ")));
  Candidate().Prove();
  Pass(seconds(1));
  EXPECT_THAT(lines_, ElementsAre(testing::_, HasSubstr("read again")));
  EXPECT_EQ(reload_->trouble(), "");
}

TEST_F(ReloadTest, AnotherPairThatFailsIsALineOfItsOwn) {
  for (int pair = 0; pair < 2; ++pair) {
    Issue();
    Pass(seconds(60));
    Candidate().Refuse(absl::UnauthenticatedError("the KMS refuses our certificate"));
    Pass(seconds(1));
  }
  EXPECT_THAT(lines_, SizeIs(2));
}

TEST_F(ReloadTest, WithoutAKeyAPairTakesItsPlaceAtOnce) {
  health_.key_id.clear();
  const TlsContext* const before = InUse();
  Issue();
  Ask();
  EXPECT_NE(InUse(), before);
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("; no key is in use yet")));
  EXPECT_EQ(Candidate().pending(), 0U);
}

TEST_F(ReloadTest, FilesThatWereMissingAtTheStart) {
  fs::rename(pair_.certificate, directory_ / "elsewhere");
  credentials_.emplace(TlsFiles{
      {"--client-cert", pair_.certificate}, {"--client-key", pair_.key}, {"--ca", pki_.ca()}});
  health_.key_id.clear();
  Restart();
  ASSERT_FALSE(credentials_->tls().ok());
  fs::rename(directory_ / "elsewhere", pair_.certificate);
  Pass(seconds(6));
  EXPECT_TRUE(credentials_->tls().ok());
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("certificates read again")));
}

TEST_F(ReloadTest, TheNewestFilesWin) {
  Issue();
  Ask();
  Kms* const first = &Candidate();
  Issue();
  Ask();
  ASSERT_EQ(made_, 2);
  ASSERT_THAT(candidates_, SizeIs(1));
  EXPECT_NE(&Candidate(), first);
  Candidate().Prove();
  Pass(seconds(1));
  EXPECT_THAT(lines_, SizeIs(1));
}

TEST_F(ReloadTest, WhoAsksWithoutPauseDoesNotHaveItBeginAnew) {
  Issue();
  for (int i = 0; i < 5; ++i) Ask();
  EXPECT_EQ(made_, 1);
  Candidate().Prove();
  Ask();
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("certificates read again"),
                                  "certificates on disk are those in use"));
}

TEST_F(ReloadTest, BackToThoseInUseInTheMidstOfAProof) {
  const auto before = pair_;
  fs::copy(before.certificate, directory_ / "keep.pem");
  fs::copy(before.key, directory_ / "keep.key");
  Issue();
  Ask();
  fs::rename(directory_ / "keep.pem", before.certificate);
  fs::rename(directory_ / "keep.key", before.key);
  Pass(seconds(5));
  EXPECT_THAT(candidates_, IsEmpty());
  EXPECT_THAT(lines_, ElementsAre("certificates on disk are those in use"));
}

TEST_F(ReloadTest, ItsEndInTheMidstOfAProof) {
  Issue();
  Ask();
  ASSERT_THAT(candidates_, SizeIs(1));
  reload_.reset();
  EXPECT_THAT(candidates_, IsEmpty());
}

// ---- A key that does not work anyway

struct Verdict {
  absl::Status of_candidate;
  absl::Status in_use;  // OK: it works
  bool taken;
};
class NoWorseTest : public ReloadTest, public ::testing::WithParamInterface<Verdict> {};
INSTANTIATE_TEST_SUITE_P(
    , NoWorseTest,
    ::testing::Values(
        Verdict{absl::FailedPreconditionError("a"), absl::FailedPreconditionError("b"), true},
        Verdict{absl::NotFoundError("a"), absl::NotFoundError("b"), true},
        Verdict{absl::PermissionDeniedError("a"), absl::PermissionDeniedError("b"), true},
        Verdict{absl::FailedPreconditionError("a"), absl::UnauthenticatedError("b"), true},
        Verdict{absl::PermissionDeniedError("a"), absl::OkStatus(), false},
        Verdict{absl::NotFoundError("a"), absl::UnavailableError("b"), false},
        Verdict{absl::UnavailableError("a"), absl::UnavailableError("b"), false},
        Verdict{absl::UnauthenticatedError("a"), absl::UnauthenticatedError("b"), false},
        Verdict{absl::DataLossError("a"), absl::DataLossError("b"), false}));

TEST_P(NoWorseTest, IsTakenWhenTheKmsSaysTheSameOfTheOldOne) {
  if (!GetParam().in_use.ok()) health_.trouble = Trouble{GetParam().in_use, now_};
  Issue();
  Ask();
  const absl::Status no = GetParam().of_candidate;
  Candidate().Refuse(no);
  // Where the question itself is refused, a round trip decides.
  if (!Candidate().encrypt.empty()) {
    Candidate().Answer(Candidate().encrypt, absl::StatusOr<Ciphertext>(no));
  }
  Pass(seconds(1));
  EXPECT_THAT(lines_, ElementsAre(HasSubstr(GetParam().taken ? "read again" : "not taken")));
}

TEST_F(ReloadTest, ThoseInUseHaveExpired) {
  Issue(-7200, -3600);
  health_.key_id.clear();
  credentials_.emplace(TlsFiles{
      {"--client-cert", pair_.certificate}, {"--client-key", pair_.key}, {"--ca", pki_.ca()}});
  health_.key_id = "key-1";
  Restart();
  Issue();
  Ask();
  Candidate().Answer(Candidate().inspect, absl::StatusOr<KeyInfo>(test::DeactivatedKey()));
  Pass(seconds(1));
  EXPECT_THAT(lines_, ElementsAre(AllOf(HasSubstr("read again"),
                                        HasSubstr("; with them as before: key key-1 is "))));
}

// ---- Several hosts

class SeveralHostsTest : public ReloadTest {
 protected:
  SeveralHostsTest() : ReloadTest(3) {
    Issue();
    Ask();
  }
};

TEST_F(SeveralHostsTest, OneProofIsEnoughForAll) {
  Candidate(0).Refuse(absl::UnavailableError("away"));
  Pass(seconds(1));
  EXPECT_THAT(lines_, IsEmpty());
  Candidate(2).Prove();
  Pass(seconds(2));
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("read again")));
  EXPECT_THAT(in_use_, IsEmpty());
  ASSERT_THAT(candidates_, SizeIs(3));
  Candidate(1).Prove();  // the answer to what it was asked as a candidate
}

TEST_F(SeveralHostsTest, EachSaysWhyNot) {
  Candidate(2).Refuse(absl::UnavailableError("c"));
  Candidate(0).Refuse(absl::UnauthenticatedError("a"));
  Pass(seconds(1));
  EXPECT_THAT(lines_, IsEmpty()) << "one has not answered";
  Candidate(1).Refuse(absl::DeadlineExceededError("b"));
  Pass(seconds(1));
  EXPECT_THAT(lines_,
              ElementsAre(HasSubstr("not taken: with them, kms-0: a; kms-1: b; kms-2: c;")));
}

}  // namespace
}  // namespace okms
