// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/prover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/secret.h"
#include "support/status_is.h"
#include "unit/audit/values.h"

namespace okms::audit {
namespace {

using okms::test::StatusIs;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr double kAtOnce = 1e6;  // a rate that is none

Unwrapped Bytes(std::size_t size) {
  return {absl::OkStatus(), Secret(AsBytes(std::string(size, 'C')))};
}

// A plugin: what it was asked, and how it answers.
class FakePlugin {
 public:
  using Answer = std::function<absl::StatusOr<Unwrapped>(const Wrapped&)>;

  explicit FakePlugin(Answer answer = [](const Wrapped&) { return Bytes(32); })
      : answer_(std::move(answer)) {}

  Unwrap AsUnwrap() {
    return [this](const Wrapped& wrapped) {
      {
        const std::lock_guard lock(mutex_);
        asked_.push_back(wrapped);
      }
      return answer_(wrapped);
    };
  }
  std::vector<Wrapped> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  std::vector<std::string> ciphertexts() {
    std::vector<std::string> all;
    for (const Wrapped& wrapped : asked()) all.push_back(wrapped.ciphertext);
    return all;
  }

 private:
  const Answer answer_;
  std::mutex mutex_;
  std::vector<Wrapped> asked_;
};

void See(Prover& prover, const std::string& name, const std::string& value,
         Standing standing = Standing::kLive) {
  prover.See(At(absl::StrCat("/registry/secrets/a/", name), value, 1, standing),
             ReadEnvelope(value));
}

std::vector<std::string> Lines(const Proof& proof) {
  std::vector<std::string> lines;
  for (const Finding& finding : FindingsOf(proof)) {
    lines.push_back(absl::StrCat(finding.wrong ? "wrong " : "", finding.id, ": ", finding.line));
  }
  return lines;
}

TEST(ProverTest, AsksForEachSeedOnce) {
  FakePlugin plugin;
  Prover prover(plugin.AsUnwrap(), kAtOnce, "");
  for (const std::string round : {"1", "2"}) {
    prover.Begin({});  // what was proven stays so
    See(prover, "a" + round, KmsV2("K1", "s1"));
    See(prover, "b" + round, KmsV2("K1", "s2"));
    See(prover, "c" + round, KmsV2("K2", "s2"));
  }
  const Proof proof = prover.Finish().value();
  EXPECT_THAT(proof.good, ElementsAre(Pair("K1", 2), Pair("K2", 1)));
  EXPECT_THAT(plugin.ciphertexts(), UnorderedElementsAre("s1", "s2", "s2"));
  EXPECT_THAT(Lines(proof), ElementsAre(HasSubstr(
                                "readable: 3 of 3 seeds can be unwrapped: under key K1 2, under "
                                "key K2 1; slowest ")));
}

TEST(ProverTest, PassesOnWhatDecryptNeeds) {
  FakePlugin plugin;
  Prover prover(plugin.AsUnwrap(), kAtOnce, "");
  const std::string plain = KmsV2("K1", "s1");
  See(prover, "a", plain);
  See(prover, "b", plain + Annotation("iv.example.com", "1"));
  See(prover, "c", plain + Annotation("iv.example.com", "2"));
  ASSERT_THAT(prover.Finish(), okms::test::IsOk());
  std::vector<std::string> all;
  for (const Wrapped& wrapped : plugin.asked()) {
    all.push_back(absl::StrCat(wrapped.key_id, " ", wrapped.ciphertext));
    for (const auto& [name, value] : wrapped.annotations) {
      absl::StrAppend(&all.back(), " ", name, "=", value);
    }
  }
  EXPECT_THAT(all,
              UnorderedElementsAre("K1 s1", "K1 s1 iv.example.com=1", "K1 s1 iv.example.com=2"));
}

TEST(ProverTest, AsksForNothingElse) {
  FakePlugin plugin;
  Prover prover(plugin.AsUnwrap(), kAtOnce, "okms");
  See(prover, "a", Protobuf(1));
  See(prover, "b", KmsV2("K1", "s1"), Standing::kOldRevision);
  See(prover, "c", "k8s:enc:kms:v2:other:" + EncryptedObject("K1", "s1"));
  See(prover, "d", "k8s:enc:kms:v2:okms:");
  const Proof proof = prover.Finish().value();
  EXPECT_THAT(plugin.asked(), IsEmpty());
  EXPECT_THAT(Lines(proof), ElementsAre("wrong nothing-to-prove: there is nothing to unwrap: no "
                                        "live value is of KMS v2 by provider okms"));
}

TEST(ProverTest, CountsRefusalsByKeyAndCodeAndGoesOn) {
  FakePlugin plugin([](const Wrapped& wrapped) -> absl::StatusOr<Unwrapped> {
    if (wrapped.key_id == "K2") return Bytes(32);
    if (wrapped.ciphertext == "s3") return Unwrapped{absl::UnavailableError("away"), Secret()};
    return Unwrapped{absl::NotFoundError("no such key\n"), Secret()};
  });
  Prover prover(plugin.AsUnwrap(), kAtOnce, "");
  for (const std::string seed : {"s1", "s2", "s3"}) See(prover, seed, KmsV2("K1", seed));
  See(prover, "good", KmsV2("K2", "s1"));
  for (int i = 0; i < 20; ++i) See(prover, absl::StrCat("more-", i), KmsV2("K1", "s3"));
  const Proof proof = prover.Finish().value();
  ASSERT_THAT(proof.refused, SizeIs(2));
  EXPECT_EQ(proof.refused[0].seeds, 2u);
  EXPECT_EQ(proof.refused[0].objects, 2u);
  EXPECT_EQ(proof.refused[1].objects, 21u);
  EXPECT_LE(proof.refused[1].first.size(), Tally::kMostNames);
  EXPECT_THAT(Lines(proof),
              ElementsAre(HasSubstr("wrong unreadable: 2 seeds under key K1 cannot be unwrapped, "
                                    "and 2 objects need one of them (/registry/secrets/a/s"),
                          HasSubstr("and 21 objects need it (/registry/secrets/a/s3"),
                          HasSubstr("readable: 1 of 4 seeds can be unwrapped: under key K2 1")));
  EXPECT_THAT(Lines(proof)[0], HasSubstr("): NOT_FOUND: no such key?"));
  EXPECT_EQ(AsJson(proof)["refused"][1]["code"], "UNAVAILABLE");
}

TEST(ProverTest, ASecondReadingCountsObjectsAnew) {
  FakePlugin plugin([](const Wrapped&) -> absl::StatusOr<Unwrapped> {
    return Unwrapped{absl::NotFoundError("gone"), Secret()};
  });
  Prover prover(plugin.AsUnwrap(), kAtOnce, "");
  for (int reading = 0; reading < 2; ++reading) {
    prover.Begin({});
    See(prover, "a", KmsV2("K1", "s1"));
    See(prover, "b", KmsV2("K1", "s1"));
  }
  EXPECT_EQ(prover.Finish().value().refused[0].objects, 2u);
}

TEST(ProverTest, ASecondReadingLeavesOutWhatNothingNeedsAnyMore) {
  FakePlugin plugin([](const Wrapped& wrapped) -> absl::StatusOr<Unwrapped> {
    if (wrapped.key_id == "K2") return Bytes(32);
    return Unwrapped{absl::NotFoundError("gone"), Secret()};
  });
  Prover prover(plugin.AsUnwrap(), kAtOnce, "");
  prover.Begin({});
  See(prover, "a", KmsV2("K0", "s1"));
  See(prover, "b", KmsV2("K1", "s1"));
  See(prover, "c", KmsV2("K1", "s2"));
  See(prover, "d", KmsV2("K2", "s1"));
  See(prover, "e", KmsV2("K2", "s2"));
  prover.Begin({});
  See(prover, "f", KmsV2("K1", "s2"));
  See(prover, "e", KmsV2("K2", "s2"));
  const Proof proof = prover.Finish().value();
  EXPECT_THAT(proof.good, ElementsAre(Pair("K2", 1)));
  ASSERT_THAT(proof.refused, SizeIs(1));
  EXPECT_EQ(proof.refused[0].key_id, "K1");
  EXPECT_EQ(proof.refused[0].seeds, 1u);
  EXPECT_EQ(proof.refused[0].objects, 1u);
  EXPECT_THAT(proof.refused[0].first, ElementsAre("/registry/secrets/a/f"));
  EXPECT_EQ(proof.Seeds(), 2u);
}

TEST(ProverTest, WhatIsUnwrappedHasTheSizeOfAKey) {
  for (const std::size_t size : {0u, 15u, 16u, 24u, 31u, 32u, 33u}) {
    FakePlugin plugin([size](const Wrapped&) { return Bytes(size); });
    Prover prover(plugin.AsUnwrap(), kAtOnce, "");
    See(prover, "seed", KmsV2("K1", "s1"));
    const std::string key = "k8s:enc:kms:v2:okms:" + BytesField(1, std::string(12 + 5 + 16, 'd')) +
                            BytesField(2, "K2") + BytesField(3, "s2");
    See(prover, "key", key);
    const Proof proof = prover.Finish().value();
    EXPECT_EQ(proof.good.count("K1"), size == 32 ? 1u : 0u) << size;
    EXPECT_EQ(proof.good.count("K2"), size == 16 || size == 24 || size == 32 ? 1u : 0u) << size;
    for (const std::string& line : Lines(proof)) EXPECT_THAT(line, Not(HasSubstr("CC")));
    EXPECT_THAT(AsJson(proof).dump(), Not(HasSubstr("CC")));
  }
}

TEST(ProverTest, EndsWhereNobodyCanBeAsked) {
  FakePlugin plugin([](const Wrapped&) -> absl::StatusOr<Unwrapped> {
    return absl::UnavailableError("/run/kms.sock: nobody listens");
  });
  Prover prover(plugin.AsUnwrap(), kAtOnce, "");
  for (int i = 0; i < 1000; ++i) See(prover, "a", KmsV2("K1", absl::StrCat(i)));
  EXPECT_THAT(prover.Finish().status(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("kms.sock")));
  EXPECT_FALSE(prover.Stopped().ok());
  EXPECT_LE(plugin.asked().size(), Prover::kAtOnce);
}

// Of one that is stopped, or has lost its KMS.
class SilenceTest : public testing::TestWithParam<absl::StatusCode> {
 protected:
  Unwrapped Silence() const { return {absl::Status(GetParam(), "no answer"), Secret()}; }
};

TEST_P(SilenceTest, EndsIt) {
  FakePlugin plugin([&](const Wrapped&) { return Silence(); });
  Prover prover(plugin.AsUnwrap(), kAtOnce, "");
  for (int i = 0; i < 1000; ++i) See(prover, "a", KmsV2("K1", absl::StrCat(i)));
  EXPECT_THAT(prover.Finish().status(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(": no answer")));
  EXPECT_LT(plugin.asked().size(), 3 * Prover::kAtOnce);
}

TEST_P(SilenceTest, EndsItAlsoWhereThereAreFewSeeds) {
  FakePlugin plugin([&](const Wrapped&) { return Silence(); });
  Prover prover(plugin.AsUnwrap(), kAtOnce, "");
  See(prover, "a", KmsV2("K1", "s1"));
  EXPECT_THAT(prover.Finish().status(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("okms-kms-ctl status")));
}

TEST_P(SilenceTest, IsOneReasonAmongOthersWhereThereAreAnswersBetween) {
  constexpr int kSeeds = 100;
  const Unwrapped others[] = {Bytes(32), {absl::NotFoundError("no such key"), Secret()}};
  for (const Unwrapped& other : others) {
    std::atomic<int> calls = 0;
    FakePlugin plugin([&](const Wrapped&) -> absl::StatusOr<Unwrapped> {
      if (++calls % 2 == 0) return Silence();
      return Unwrapped{other.refusal, Secret(other.bytes.Reveal())};
    });
    Prover prover(plugin.AsUnwrap(), kAtOnce, "");
    for (int i = 0; i < kSeeds; ++i) See(prover, "a", KmsV2("K1", absl::StrCat(i)));
    ASSERT_THAT(prover.Finish(), okms::test::IsOk());
    EXPECT_EQ(prover.Finish()->Seeds(), kSeeds + 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Codes, SilenceTest,
                         testing::Values(absl::StatusCode::kDeadlineExceeded,
                                         absl::StatusCode::kUnavailable));

TEST(ProverTest, HasAFewCallsUnderWayAndNoMore) {
  constexpr std::size_t kSeeds = 40;
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t begun = 0;
  std::size_t under_way = 0;
  std::size_t most = 0;
  FakePlugin plugin([&](const Wrapped&) {
    std::unique_lock lock(mutex);
    ++begun;
    most = std::max(most, ++under_way);
    changed.notify_all();
    // Until all that may be under way are, round by round.
    const std::size_t round = (begun - 1) / Prover::kAtOnce + 1;
    changed.wait(lock, [&] { return begun >= round * Prover::kAtOnce; });
    --under_way;
    return Bytes(32);
  });
  Prover prover(plugin.AsUnwrap(), kAtOnce, "");
  for (std::size_t i = 0; i < kSeeds; ++i) See(prover, "a", KmsV2("K1", absl::StrCat(i)));
  EXPECT_EQ(prover.Finish().value().Good(), kSeeds);
  EXPECT_EQ(most, Prover::kAtOnce);
}

TEST(ProverTest, KeepsToTheRate) {
  constexpr int kSeeds = 21;
  FakePlugin plugin;
  Prover prover(plugin.AsUnwrap(), 200, "");
  const Clock::time_point begun = Clock::now();
  for (int i = 0; i < kSeeds; ++i) See(prover, "a", KmsV2("K1", absl::StrCat(i)));
  EXPECT_EQ(prover.Finish().value().Good(), kSeeds + 0u);
  EXPECT_GE(Clock::now() - begun, std::chrono::milliseconds((kSeeds - 1) * 1000 / 200));
}

}  // namespace
}  // namespace okms::audit
