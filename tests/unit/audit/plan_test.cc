// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/key_id_hash.h"
#include "support/status_is.h"
#include "unit/audit/filled_survey.h"
#include "unit/audit/values.h"

namespace okms::audit {
namespace {

using okms::test::IsOkAndHolds;
using okms::test::StatusIs;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr auto kWrong = absl::StatusCode::kInvalidArgument;

class PlanTest : public FilledSurveyTest {
 protected:
  Plan Made() {
    survey.calendar.Settle();
    return MakePlan(survey, input);
  }
  void Expect(Step step, const std::string& verdict) {
    const Plan plan = Made();
    EXPECT_EQ(ToString(plan.step), ToString(step));
    EXPECT_EQ(plan.verdict, verdict);
    EXPECT_THAT(AsText(plan), StartsWith(verdict + "\n"));
    EXPECT_EQ(AsJson(plan)["verdict"], verdict);
    EXPECT_THAT(plan.notes, Contains(HasSubstr("snapshots and backups elsewhere")));
  }
  // All that there is to read.
  void ReadAll() {
    survey.scope.history = true;
    survey.extent.whole = true;
    input.freed_pages = true;
  }
  static std::string Metrics(const std::string& before, const std::string& last,
                             const std::string& provider = "okms") {
    const std::string name =
        "apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds";
    return absl::StrCat("# TYPE ", name, " gauge\n", name,
                        "{apiserver_id_hash=\"sha256:0\",key_id_hash=\"", last,
                        "\",provider_name=\"", provider, "\"} 1.78e+09\n", name,
                        "{apiserver_id_hash=\"sha256:0\",key_id_hash=\"", before,
                        "\",provider_name=\"", provider, "\"} 1.77e+09\n");
  }
  PlanInput input;
};

TEST_F(PlanTest, ThereMustBeAKeyToComeTo) {
  Add("secrets/a/1", Protobuf(1), 1);
  const Plan plan = Made();
  EXPECT_EQ(plan.step, Step::kNoTarget);
  EXPECT_THAT(plan.verdict, HasSubstr("--fail-unless-key"));
  EXPECT_THAT(plan.rewrites, IsEmpty());
}

TEST_F(PlanTest, RewritesWhatIsNotUnderTheKeyThatWasWrittenLast) {
  Add("secrets/a/1", KmsV2("K1", "s1"), 1);
  Add("secrets/a/2", Protobuf(1), 2);
  Add("configmaps/a/1", "k8s:enc:aescbc:v1:key1:" + std::string(32, 'd'), 3);
  Add("example.com/widgets/a/1", KmsV2("K1", "s1"), 4);
  Add("pods/a/1", Protobuf(1'767'312'000), 5);  // 2026-01-02 00:00; of no concern
  Add("secrets/a/3", KmsV2("K2", "s2"), 6);
  Expect(Step::kRewrite,
         "all written since revision 4 (before 2026-01-02 00:00 UTC) is under key K2: migrate the "
         "rest (4 objects)");
  EXPECT_EQ(AsText(Made()),
            "all written since revision 4 (before 2026-01-02 00:00 UTC) is under key K2: migrate "
            "the rest (4 objects)\n"
            "target  key K2: the one that was written last, at revision 6\n"
            "when    30 s after the last plugin has the key where /readyz of each kube-apiserver "
            "is probed, 60 s where it is not\n"
            "rewrite 1 of configmaps\n"
            "        kubectl get configmaps -A -o json | kubectl replace -f -\n"
            "rewrite 2 secrets\n"
            "        kubectl get secrets -A -o json | kubectl replace -f -\n"
            "rewrite 1 of widgets.example.com\n"
            "        kubectl get widgets.example.com -A -o json | kubectl replace -f -\n"
            "note    repeat each line until there is no Conflict; then audit again\n"
            "note    a StorageVersionMigration that has succeeded proves nothing\n"
            "note    snapshots and backups elsewhere are not known here: each needs the keys of "
            "its time\n");
}

TEST_F(PlanTest, WaitsWhileSomebodyWritesUnderAnotherKey) {
  Add("secrets/a/1", KmsV2("K2", "s2"), 6);
  Add("secrets/a/2", KmsV2("K1", "s1"), 7);
  input.target = KeyIdHash("K2");
  input.origin = "the plugin's";
  Expect(Step::kWait, absl::StrCat("not yet: what was written last, of secrets at revision 7, is "
                                   "not under key ",
                                   KeyIdHash("K2")));
  EXPECT_THAT(Made().rewrites, IsEmpty());
  EXPECT_THAT(AsText(Made()), HasSubstr(": the plugin's\nwhen    30 s after"));
}

TEST_F(PlanTest, KubernetesDoesItByItselfFromARelease) {
  Add("secrets/a/1", KmsV2("K1", "s1"), 1);
  Add("example.com/widgets/a/1", KmsV2("K1", "s1"), 2);
  Add("deployments/a/1", KmsV2("K1", "s1"), 3);  // of a group that is not in etcd
  Add("secrets/a/3", KmsV2("K2", "s2"), 6);
  survey.extent.revision = 17;  // what is repeated is another migration
  input.kubernetes = Version{1, 36};
  for (const Rewrite& rewrite : Made().rewrites) EXPECT_EQ(rewrite.manifest, "");
  input.kubernetes = Version{1, 37};
  const std::vector<Rewrite> rewrites = Made().rewrites;
  ASSERT_EQ(rewrites.size(), 3u);
  EXPECT_EQ(rewrites[0].manifest, "");
  EXPECT_THAT(rewrites[0].command, StartsWith("kubectl get deployments "));
  EXPECT_EQ(rewrites[1].manifest, absl::StrCat("apiVersion: storagemigration.k8s.io/v1\n"
                                               "kind: StorageVersionMigration\n"
                                               "metadata:\n"
                                               "  name: secrets-",
                                               KeyIdHash("K2").substr(7, 8),
                                               "-17\n"
                                               "spec:\n"
                                               "  resource:\n"
                                               "    group: \"\"\n"
                                               "    resource: secrets\n"));
  input.target = KeyIdHash("K2");
  EXPECT_EQ(Made().rewrites[1].manifest, rewrites[1].manifest);
  EXPECT_THAT(rewrites[2].manifest,
              HasSubstr("    group: \"example.com\"\n    resource: widgets\n"));
}

TEST_F(PlanTest, MakesNoCommandOfAnotherName) {
  Add("$(reboot)/a/1", KmsV2("K1", "s1"), 1);
  Add("-A/a/1", KmsV2("K1", "s1"), 2);
  Add("masterleases/10.0.0.1", KmsV2("K1", "s1"), 2);  // kube-apiserver's own, without an API
  Add("ranges/serviceips", KmsV2("K1", "s1"), 2);
  Add("peerserverleases/name", KmsV2("K1", "s1"), 2);
  Add("secrets/a/3", KmsV2("K2", "s2"), 6);
  input.kubernetes = Version{1, 37};
  for (const Rewrite& rewrite : Made().rewrites) {
    EXPECT_EQ(rewrite.command + rewrite.manifest, "") << rewrite.resource;
  }
  EXPECT_THAT(AsText(Made()), HasSubstr("by whoever wrote it"));
}

TEST_F(PlanTest, EachApiserverMustHaveTheKey) {
  Add("secrets/a/1", KmsV2("K1", "s1"), 1);
  Add("secrets/a/3", KmsV2("K2", "s2"), 6);
  const std::string one = KeyIdHash("K1");
  const std::string two = KeyIdHash("K2");
  input.apiservers.push_back(ReadApiserver("a.txt", Metrics(one, two)).value());
  EXPECT_EQ(Made().step, Step::kRewrite);
  EXPECT_THAT(Made().when, StartsWith("now, if there is no kube-apiserver but the 1 whose"));
  input.apiservers.push_back(ReadApiserver("b.txt", Metrics(two, one)).value());
  Expect(Step::kWait, absl::StrCat("not yet: the kube-apiserver of b.txt had not heard of key K2; "
                                   "its last is ",
                                   one));
  EXPECT_THAT(Made().rewrites, IsEmpty());
}

TEST_F(PlanTest, MetricsOfNoKmsAreNone) {
  EXPECT_THAT(ReadApiserver("a.txt", "up 1\n").status(),
              StatusIs(kWrong, StartsWith("a.txt: no ")));
  EXPECT_THAT(ReadApiserver("a.txt", Metrics("", "")).status(),
              StatusIs(kWrong, HasSubstr("save")));
}

TEST_F(PlanTest, WhatIsNotLiveNeedsAKeyAsWell) {
  Add("secrets/a/3", KmsV2("K2", "s2"), 6);
  Expect(Step::kReadHistory,
         "nothing live needs another key than K2; old revisions were not read (--history)");
  survey.scope.history = true;
  Expect(Step::kLookAtFreed,
         "nothing live and no old revision needs another key than K2; freed pages were not read "
         "(--snapshot)");
  ReadAll();
  Expect(Step::kOthersUnneeded, "nothing in this file needs a key but K2");

  Add("secrets/a/3", KmsV2("K1", "s1"), 4, Standing::kOldRevision);
  Expect(Step::kCompact, "nothing live needs key K1; old revisions and snapshots of then do");
  Add("secrets/a/3", KmsV2("K0", "s0"), 2, Standing::kFreedPage);
  Expect(Step::kCompact,
         "nothing live needs key K0 or key K1; old revisions and freed pages and snapshots of then "
         "do");
  EXPECT_THAT(Made().notes, Contains(HasSubstr("defrag")));
}

TEST_F(PlanTest, AFreedPageAloneForbidsIt) {
  ReadAll();
  Add("secrets/a/3", KmsV2("K2", "s2"), 6);
  Add("secrets/a/3", KmsV2("K1", "s1"), 2, Standing::kFreedPage);
  Expect(Step::kCompact, "nothing live needs key K1; freed pages and snapshots of then do");
}

TEST_F(PlanTest, WhatCannotBeReadForbidsIt) {
  ReadAll();
  Add("secrets/a/3", KmsV2("K2", "s2"), 6);
  Add("secrets/a/4", "k8s:enc:kms:v2:okms:", 3);
  Expect(Step::kCannotTell,
         "nothing live that can be read needs another key than K2; 1 value cannot, whatever they "
         "need");
}

TEST_F(PlanTest, WhatWasNotCountedForbidsIt) {
  ReadAll();
  Add("secrets/a/3", KmsV2("K2", "s2"), 6);
  for (std::size_t i = 0; i < Tally::kMostGroups; ++i) {
    Add(absl::StrCat("r", i, "/name"), Protobuf(1), 1);
  }
  Expect(Step::kCannotTell, "cannot tell: 1 values were not counted; read a part with --prefix");
}

// What lies elsewhere may need any key.
TEST_F(PlanTest, APartIsNotTheWhole) {
  ReadAll();
  Add("secrets/a/3", KmsV2("K2", "s2"), 6);
  for (const std::string prefix : {"/registry/secrets/", "/k8s/secrets/", "/registr"}) {
    survey.scope.prefix = prefix;
    Expect(Step::kReadTheRest, absl::StrCat("nothing below ", prefix,
                                            " needs another key than K2; the rest was not read"));
  }
  for (const std::string prefix : {"/registry/", "/k8s/", "/a/registry/", ""}) {
    survey.scope.prefix = prefix;
    EXPECT_EQ(Made().step, Step::kOthersUnneeded) << prefix;
  }
  survey.scope.prefix = "/registry/";
  survey.extent.elsewhere = 2;
  Expect(Step::kReadTheRest,
         "nothing below /registry/ needs another key than K2; 2 encrypted values elsewhere were "
         "not read (--prefix '')");
}

TEST_F(PlanTest, SaysOfWhichPartItSpeaks) {
  survey.scope.prefix = "/registry/secrets/";
  Add("secrets/a/3", KmsV2("K2", "s2"), 6);
  Expect(Step::kReadHistory,
         "nothing live below /registry/secrets/ needs another key than K2; old revisions were not "
         "read (--history)");
  ReadAll();
  Add("secrets/a/3", KmsV2("K1", "s1"), 4, Standing::kOldRevision);
  Expect(Step::kCompact,
         "nothing live below /registry/secrets/ needs key K1; old revisions and snapshots of then "
         "do");
  Add("secrets/a/1", KmsV2("K1", "s1"), 2);
  Expect(Step::kRewrite,
         "all below /registry/secrets/ written since revision 4 is under key K2: migrate the rest "
         "(1 object)");
}

TEST_F(PlanTest, NothingProvesNothing) {
  ReadAll();
  input.target = "K2";
  survey.scope.prefix = "/registry/";
  const std::string verdict =
      "cannot tell: nothing live that was read is under key K2: the right file and --prefix?";
  Expect(Step::kCannotTell, verdict);
  Add("pods/a/1", Protobuf(1), 1);
  Expect(Step::kCannotTell, verdict);
  Add("secrets/a/1", KmsV2("K2", "s2"), 2, Standing::kOldRevision);
  Expect(Step::kCannotTell, verdict);
  survey.scope.history = false;
  Expect(Step::kCannotTell, verdict);
}

// An etcd that was killed has its last writes in its WAL alone.
TEST_F(PlanTest, ADatabaseIsNoSnapshot) {
  ReadAll();
  survey.extent.whole = false;
  Add("secrets/a/3", KmsV2("K2", "s2"), 6);
  Expect(Step::kCannotTell,
         "cannot tell: this database lacks what its WAL holds: audit a snapshot (etcdctl snapshot "
         "save)");
}

TEST_F(PlanTest, WhoWasNotAskedMayStillWrite) {
  ReadAll();
  Add("secrets/a/3", KmsV2("K2", "s2"), 6);
  EXPECT_THAT(Made().notes, Contains(HasSubstr("--apiserver-metrics")));
  input.apiservers.push_back(ReadApiserver("a.txt", Metrics("", KeyIdHash("K2"))).value());
  EXPECT_EQ(Made().step, Step::kOthersUnneeded);
  EXPECT_THAT(Made().notes, Not(Contains(HasSubstr("--apiserver-metrics"))));
}

TEST_F(PlanTest, AnotherProviderMayHaveTheSameKey) {
  ReadAll();
  Add("secrets/a/3", KmsV2("K2", "s2"), 6);
  const std::string one = KeyIdHash("K1");
  const std::string two = KeyIdHash("K2");
  const std::string other = Metrics("", two, "another");
  input.apiservers.push_back(ReadApiserver("a.txt", other + Metrics(two, one)).value());
  Expect(Step::kWait, absl::StrCat("not yet: the kube-apiserver of a.txt had not heard of key K2; "
                                   "its last is ",
                                   one));
  input.apiservers = {ReadApiserver("a.txt", other).value()};
  EXPECT_EQ(Made().step, Step::kOthersUnneeded) << "who renamed it";
}

TEST_F(PlanTest, OneNameOfTwoKeysIsNoKey) {
  ReadAll();
  Add("secrets/a/3", KmsV2("1", "s2"), 6);
  Add("secrets/a/4", KmsV2("1", "s3", "old"), 5, Standing::kOldRevision);
  Expect(Step::kCompact, "nothing live needs key 1 of old; old revisions and snapshots of then do");
  Add("secrets/a/5", KmsV2("1", "s4", "old"), 4);
  Expect(Step::kCannotTell,
         "cannot tell: key 1 is of two providers, okms and old: those may be two keys, so rewrite "
         "what is of the one that is to go");
}

TEST_F(PlanTest, WhatWasWrittenAndReplacedCounts) {
  Add("secrets/a/1", KmsV2("K1", "s1"), 2);
  Add("secrets/a/2", KmsV2("K2", "s2"), 7);
  Add("secrets/a/2", KmsV2("K1", "s1"), 6, Standing::kOldRevision);
  Expect(Step::kRewrite,
         "all written since revision 6 is under key K2: migrate the rest (1 object)");
  Add("secrets/a/3", KmsV2("K1", "s1"), 8, Standing::kOldRevision);
  Expect(Step::kWait,
         "not yet: what was written last, of secrets at revision 8, is not under key K2");
}

// Whoever has another provider for them writes them for ever.
TEST_F(PlanTest, WaitsForNoResourceThatTheKeyIsNotUsedFor) {
  input.target = "K2";
  Add("secrets/a/1", KmsV2("K2", "s2"), 3);
  Add("configmaps/a/1", "k8s:enc:aescbc:v1:key1:" + std::string(32, 'd'), 9);
  Expect(Step::kRewrite, "all of secrets is under key K2: migrate the rest (1 object)");
  EXPECT_THAT(Made().notes, Contains(HasSubstr("configmaps")));
  Add("secrets/a/2", KmsV2("K1", "s1"), 2);
  Expect(Step::kRewrite,
         "all of secrets written since revision 2 is under key K2: migrate the rest (2 objects)");
  Add("secrets/a/4", KmsV2("K1", "s1"), 4);
  Expect(Step::kWait,
         "not yet: what was written last, of secrets at revision 4, is not under key K2");
}

TEST_F(PlanTest, WhatIsNotEncryptedAnyMoreIsNotLeft) {
  survey.scope.history = true;
  Add("configmaps/a/1", KmsV2("K1", "s1"), 1, Standing::kOldRevision);
  Add("secrets/a/1", KmsV2("K2", "s2"), 2);
  Add("configmaps/a/1", Protobuf(1), 3);
  Expect(Step::kCompact, "nothing live needs key K1; old revisions and snapshots of then do");
}

TEST_F(PlanTest, NoMinuteIsOverBeforeItsEnd) {
  Add("secrets/a/1", KmsV2("K1", "s1"), 1);
  Add("pods/a/1", Protobuf(1'767'236'399), 2);  // 2026-01-01 02:59:59
  Add("secrets/a/2", KmsV2("K2", "s2"), 3);
  EXPECT_THAT(Made().verdict, HasSubstr("(before 2026-01-01 03:00 UTC)"));
}

TEST_F(PlanTest, VersionsAreThoseOfKubernetes) {
  EXPECT_THAT(ParseVersion("1.37"), IsOkAndHolds(Version{1, 37}));
  EXPECT_THAT(ParseVersion("v1.36.2-rc.1"), IsOkAndHolds(Version{1, 36}));
  for (const std::string text : {"", "1", "1.", ".1", "one.two", "1.-3", "1.3x", "v"}) {
    EXPECT_THAT(ParseVersion(text).status(), StatusIs(kWrong, HasSubstr("no version"))) << text;
  }
}

}  // namespace
}  // namespace okms::audit
