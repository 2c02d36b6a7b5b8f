// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/encryption_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "doctor/encryption_checks.h"
#include "support/misplaced_keys.h"
#include "support/status_is.h"

namespace okms::ctl {
namespace {

using Step = EncryptionPlan::Step;
using testing::HasSubstr;
using testing::Not;

constexpr char kSecret[] = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=";

std::string File(const std::string& entries) {
  return absl::StrCat(
      "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n",
      entries);
}

std::string Entry(const std::string& resources, const std::string& providers) {
  return absl::StrCat("  - {resources: [", resources, "], providers: [", providers, "]}\n");
}

const std::string kAes = absl::StrCat("aescbc: {keys: [{name: \"1\", secret: ", kSecret, "}]}");
constexpr char kIdentity[] = "identity: {}";
constexpr char kOurs[] = "kms: {apiVersion: v2, name: okms, endpoint: unix:///run/kms.sock}";
constexpr char kOther[] = "kms: {apiVersion: v2, name: other, endpoint: unix:///run/other.sock}";

std::string Join(const std::string& one, const std::string& other) {
  return absl::StrCat(one, ", ", other);
}

EncryptionPlan Plan(const std::string& from = "", Step step = Step::kWriter,
                    std::vector<std::string> resources = {}) {
  return {"okms", "unix:///run/kms.sock", "3s", std::move(resources), from, step};
}

// "secrets: kms okms, aescbc; events: identity"
std::string Shape(const std::string& text) {
  const auto config = doctor::ParseEncryptionConfig(text);
  if (!config.ok()) return std::string(config.status().message());
  std::string shape;
  for (const auto& entry : config->entries) {
    absl::StrAppend(&shape, shape.empty() ? "" : "; ");
    for (const auto& resource : entry.resources) {
      absl::StrAppend(&shape, &resource == &entry.resources.front() ? "" : ",", resource);
    }
    absl::StrAppend(&shape, ":");
    for (const auto& each : entry.providers) {
      absl::StrAppend(&shape, " ", each.kind, each.name.empty() ? "" : "/", each.name);
    }
  }
  return shape;
}

// What okms-kms-ctl check says of it that is not "passed".
std::string Said(const std::string& text) {
  doctor::Request request;
  request.encryption_config = "FILE";
  doctor::Examination all(request);
  all.apiserver = doctor::ParseEncryptionConfig(text).value();
  all.config.emplace();
  all.config->timeout = std::chrono::seconds(10);
  all.config->socket.path = "/run/kms.sock";
  std::string said;
  for (auto* const check :
       {doctor::CheckApiserverEndpoint, doctor::CheckApiVersion, doctor::CheckCacheSize,
        doctor::CheckProviderName, doctor::CheckApiserverTimeout, doctor::CheckProviderOrder,
        doctor::CheckIdentity, doctor::CheckDuplicates}) {
    for (const doctor::Verdict& verdict : check(all)) {
      if (verdict.outcome != doctor::Outcome::kPassed) absl::StrAppend(&said, verdict.line, "\n");
    }
  }
  return said;
}

TEST(EncryptionPlanTest, WritesWhatKubeApiserverTakes) {
  EXPECT_EQ(WriteEncryptionConfig(Plan())->yaml,
            "apiVersion: apiserver.config.k8s.io/v1\n"
            "kind: EncryptionConfiguration\n"
            "resources:\n"
            "  - resources:\n"
            "      - secrets\n"
            "    providers:\n"
            "      - kms:\n"
            "          apiVersion: v2\n"
            "          name: okms\n"
            "          endpoint: unix:///run/kms.sock\n"
            "          timeout: \"3s\"\n"
            "      - identity: {}\n");
}

struct Row {
  std::string name;
  EncryptionPlan plan;
  std::string shape;
  std::string caution = "";
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

constexpr char kReadersFirst[] =
    "where there are several kube-apiservers, all need the output of --step readers first";
constexpr char kAuditFirst[] =
    "what is not stored under okms cannot be read with this: see first that `okms-kms-ctl audit` "
    "finds none of it";

const std::vector<Row> kRows{
    {"NothingBefore", Plan(), "secrets: kms/okms identity"},
    {"NothingBeforeReaders", Plan("", Step::kReaders), "secrets: identity kms/okms"},
    {"NothingBeforeOnly", Plan("", Step::kOnly), "secrets: kms/okms"},
    {"Resources", Plan("", Step::kWriter, {"secrets", "*.apps", "widgets.example.com"}),
     "secrets,*.apps,widgets.example.com: kms/okms identity"},
    {"FromKeysReaders", Plan(File(Entry("secrets", Join(kAes, kIdentity))), Step::kReaders),
     "secrets: aescbc kms/okms identity"},
    {"FromKeysWriter", Plan(File(Entry("secrets", Join(kAes, kIdentity)))),
     "secrets: kms/okms aescbc identity", kReadersFirst},
    {"FromReadersToWriter", Plan(File(Entry("secrets", Join(kAes, Join(kOurs, kIdentity))))),
     "secrets: kms/okms aescbc identity"},
    {"FromWriterToOnly",
     Plan(File(Entry("secrets", Join(kOurs, Join(kAes, kIdentity)))), Step::kOnly),
     "secrets: kms/okms", kAuditFirst},
    {"OnlyAgain", Plan(File(Entry("secrets", kOurs)), Step::kOnly), "secrets: kms/okms"},
    {"FromAnotherKms", Plan(File(Entry("secrets", kOther)), Step::kReaders),
     "secrets: kms/other kms/okms"},
    {"BackToPlaintext", Plan(File(Entry("secrets", Join(kOurs, kIdentity))), Step::kReaders),
     "secrets: identity kms/okms",
     "identity writes secrets again with this, and okms no more than reads"},
    {"IdentityFirst", Plan(File(Entry("secrets", Join(kIdentity, kAes)))),
     "secrets: kms/okms aescbc identity", kReadersFirst},
    {"IdentityFirstReaders", Plan(File(Entry("secrets", Join(kIdentity, kAes))), Step::kReaders),
     "secrets: identity kms/okms aescbc"},
    {"AllThatIsEncrypted",
     Plan(File(absl::StrCat(Entry("events", kIdentity),
                            Entry("secrets, configmaps", Join(kAes, kIdentity))))),
     "events: identity; secrets,configmaps: kms/okms aescbc identity", kReadersFirst},
    {"OneOfTwo",
     Plan(File(Entry("secrets, configmaps", Join(kAes, kIdentity))), Step::kWriter, {"secrets"}),
     "secrets: kms/okms aescbc identity; configmaps: aescbc identity", kReadersFirst},
    {"AlikeSideBySide",
     Plan(File(absl::StrCat(Entry("secrets", Join(kAes, kIdentity)),
                            Entry("configmaps", Join(kAes, kIdentity))))),
     "secrets,configmaps: kms/okms aescbc identity", kReadersFirst},
    // What stands below a wildcard was encrypted by it, and has to be read.
    {"BelowAWildcard",
     Plan(File(Entry("'*.*'", Join(kAes, kIdentity))), Step::kWriter, {"secrets"}),
     "secrets: kms/okms aescbc identity; *.*: aescbc identity", kReadersFirst},
    {"AnotherResource", Plan(File(Entry("secrets", kOther)), Step::kWriter, {"configmaps"}),
     "secrets: kms/other; configmaps: kms/okms identity", kReadersFirst},
    {"AWildcardBelowResources", Plan(File(Entry("secrets", kOther)), Step::kWriter, {"*.*"}),
     "secrets: kms/other; *.*: kms/okms identity", kReadersFirst},
};

class EncryptionPlanTable : public testing::TestWithParam<Row> {};

TEST_P(EncryptionPlanTable, KeepsAllReadable) {
  const auto text = WriteEncryptionConfig(GetParam().plan);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(Shape(text->yaml), GetParam().shape);
  EXPECT_EQ(Shape(text->json), GetParam().shape);
  EXPECT_EQ(text->caution, GetParam().caution);
}

TEST_P(EncryptionPlanTable, IsTakenByCheck) {
  const std::string yaml = WriteEncryptionConfig(GetParam().plan)->yaml;
  if (GetParam().plan.step == Step::kReaders) {
    // It says what is so: somebody else writes, as yet.
    EXPECT_THAT(Said(yaml), HasSubstr("is the first provider of secrets"));
    EXPECT_THAT(Said(yaml), Not(HasSubstr("is not the last")));
  } else {
    EXPECT_EQ(Said(yaml), "");
  }
}

TEST_P(EncryptionPlanTable, ChangesNothingWhenItIsMadeAgain) {
  EncryptionPlan again = GetParam().plan;
  if (again.step == Step::kOnly || again.step == Step::kWriter) {
    const std::string yaml = WriteEncryptionConfig(again)->yaml;
    if (again.resources.empty()) again.from = yaml;
    EXPECT_EQ(WriteEncryptionConfig(again)->yaml, yaml);
  }
}

INSTANTIATE_TEST_SUITE_P(Table, EncryptionPlanTable, testing::ValuesIn(kRows),
                         [](const auto& row) { return row.param.name; });

TEST(EncryptionPlanTest, CarriesKeysAndWhatLooksLikeSomethingElse) {
  const std::string from = File(absl::StrCat(
      "  - resources: [secrets]\n    providers:\n"
      "      - secretbox: {keys: [{name: \"1\", secret: ",
      kSecret,
      "}, {name: 'yes', secret: \"1e3\"}, {name: \"~\", secret: a=}]}\n"
      "      - aesgcm: {keys: [{name: old, secret: ",
      kSecret,
      "}]}\n"
      "      - kms: {name: v1, endpoint: unix:///v1.sock, cachesize: 100, timeout: 5s}\n"));
  const auto text = WriteEncryptionConfig(Plan(from)).value();
  EXPECT_TRUE(text.holds_keys);
  EXPECT_THAT(text.yaml, HasSubstr(absl::StrCat("            - name: \"1\"\n"
                                                "              secret: ",
                                                kSecret,
                                                "\n"
                                                "            - name: \"yes\"\n"
                                                "              secret: \"1e3\"\n"
                                                "            - name: \"~\"\n"
                                                "              secret: a=\n")));
  EXPECT_THAT(text.yaml, HasSubstr("cachesize: 100\n"));
  EXPECT_THAT(text.json, HasSubstr("\"cachesize\": 100,"));
  EXPECT_THAT(text.json, HasSubstr("\"name\": \"yes\""));
  EXPECT_FALSE(WriteEncryptionConfig(Plan())->holds_keys);
  // Read again, it is the same.
  EXPECT_EQ(WriteEncryptionConfig(Plan(text.yaml))->yaml, text.yaml);
  EXPECT_EQ(WriteEncryptionConfig(Plan(text.json))->json, text.json);
}

struct Mistake {
  std::string name;
  EncryptionPlan plan;
  std::string said;
};
void PrintTo(const Mistake& row, std::ostream* out) { *out << row.name; }

const std::vector<Mistake> kMistakes{
    {"NoYaml", Plan("a: ["), "--from: line 1: is no YAML: end of sequence flow not found"},
    {"AnotherKind", Plan("kind: Pod"), "--from: line 1: kind is Pod, not EncryptionConfiguration"},
    {"EmptyProvider", Plan(File(Entry("secrets", "identity: "))),
     "--from: line 4: has nothing in it; write {} where nothing is meant"},
    {"NoProvider", Plan(File(Entry("secrets", "vault: {}"))),
     "--from: line 4: unknown field \"resources[0].providers[0].vault\"; take it out"},
    {"NoProviders", Plan(File(Entry("secrets", ""))),
     "--from: line 4: an entry without resources, or without providers"},
    {"ListInAProvider", Plan(File(Entry("secrets", "kms: {name: [a]}"))),
     "--from: line 4: name is not what it should be"},
    {"KeysInAKey", Plan(File(Entry("secrets", "aescbc: {keys: [{keys: [{keys: []}]}]}"))),
     "--from: line 4: a field of resources[0].providers[0].aescbc.keys[0] that is neither name nor "
     "secret; is there a blank behind the colon?"},
    {"NoBlankInAKey",
     Plan(File(
         Entry("secrets", absl::StrCat("aescbc: {keys: [{name: key1, secret:", kSecret, "}]}")))),
     "--from: line 4: a field of resources[0].providers[0].aescbc.keys[0] that is neither name nor "
     "secret; is there a blank behind the colon?"},
    {"KeyWithoutASecret", Plan(File(Entry("secrets", "aescbc: {keys: [{name: key1}]}"))),
     "--from: line 4: keys[0] has no secret; is there a blank behind the colon?"},
    {"KeyWithoutAName",
     Plan(File(Entry("secrets", absl::StrCat("aescbc: {keys: [{secret: ", kSecret, "}]}")))),
     "--from: line 4: keys[0] has no name; is there a blank behind the colon?"},
    // One of them would be lost, and what it has encrypted.
    {"KeysTwice",
     Plan(File(Entry("secrets", "aescbc: {keys: [{name: a, secret: YQ==}], keys: []}"))),
     "--from: line 4: duplicate field \"resources[0].providers[0].aescbc.keys\"; make one of them"},
    {"SecretTwice",
     Plan(File(Entry("secrets", "aescbc: {keys: [{name: a, secret: YQ==, \"secret\": YQ==}]}"))),
     "--from: line 4: duplicate field \"resources[0].providers[0].aescbc.keys[0].secret\"; make "
     "one "
     "of them"},
    {"ResourcesTwice", Plan(absl::StrCat(File(Entry("secrets", kAes)), "resources: []\n")),
     "--from: line 5: duplicate field \"resources\"; make one of them"},
    {"UnknownFieldOfKms",
     Plan(File(Entry("secrets", "kms: {name: a, endpoint: unix:///a, cacheSize: 1}"))),
     "--from: line 4: unknown field \"resources[0].providers[0].kms.cacheSize\"; did you mean "
     "cachesize?"},
    {"UnknownFieldOfAnEntry",
     Plan(File("  - {resources: [secrets], providers: [identity: {}], note: a}\n")),
     "--from: line 4: unknown field \"resources[0].note\"; take it out"},
    {"UnknownFieldOfTheFile", Plan(absl::StrCat(File(Entry("secrets", kAes)), "spec: {}\n")),
     "--from: line 5: unknown field \"spec\"; take it out"},
    {"MergeIntoTheFile", Plan(absl::StrCat(File(Entry("secrets", kAes)), "<<: {a: b}\n")),
     "--from: line 5: merges another map (<<); write it out"},
    {"MergeIntoAnEntry",
     Plan(File("  - {resources: [secrets], providers: [identity: {}], <<: {a: b}}\n")),
     "--from: line 4: merges another map (<<); write it out"},
    {"MergeIntoProviders", Plan(File(Entry("secrets", "<<: {identity: {}}"))),
     "--from: line 4: merges another map (<<); write it out"},
    {"NoResource", Plan(File(Entry("Secrets", kAes))),
     "--from: line 4: resource Secrets: is no name of a resource; write it as secrets or "
     "widgets.example.com, in small letters"},
    {"ResourceTwice", Plan(File(Entry("secrets, secrets", kAes))),
     "--from: line 4: resource secrets: overlaps with secrets, which kube-apiserver refuses; leave "
     "one out"},
    {"ResourceThatIsNotTaken", Plan(File(Entry("secrets, '*'", kAes)), Step::kWriter, {"secrets"}),
     "--from: line 4: resource *: write '*.' for all of the core group, or '*.*' for all there is"},
    {"OverlapOfEntries", Plan(File(absl::StrCat(Entry("secrets", kAes), Entry("'*.'", kAes)))),
     "--from: resources of several entries overlap, which kube-apiserver refuses in one; take them "
     "one by one with --resource, each with a --name of its own"},
    {"KeyThatIsAList",
     Plan(File(Entry("secrets", absl::StrCat("aescbc: {keys: [[", kSecret, "]]}")))),
     "--from: line 4: has nothing in it; write {} where nothing is meant"},
    {"CacheSizeThatIsNoNumber", Plan(File(Entry("secrets", "kms: {cachesize: many}"))),
     "--from: line 4: cachesize is no number"},
    {"Merge", Plan(File(Entry("secrets", "kms: {<<: {name: a}}"))),
     "--from: line 4: merges another map (<<); write it out"},
    {"NothingEncrypted", Plan(File(Entry("secrets", kIdentity))),
     "--from: encrypts nothing; name what is to be encrypted: --resource secrets"},
    {"AnotherSocket",
     Plan(File(Entry("secrets", "kms: {name: okms, endpoint: unix:///run/go.sock}"))),
     "--from: line 4: kms okms is at unix:///run/go.sock; name that with --socket, or give another "
     "--name"},
    {"AnotherNameOfTheSameSocket",
     Plan(File(Entry("secrets", "kms: {name: go, endpoint: unix:///run/kms.sock}"))),
     "--from: line 4: kms go is at that socket already; give --name go, which stands before all "
     "that it has encrypted"},
    {"OnlyTooEarly", Plan(File(Entry("secrets", Join(kAes, kOurs))), Step::kOnly),
     "--step only: what --from writes of secrets could not be read any more; first give --step "
     "writer, and rewrite all"},
    {"ReadersOfNothing", Plan(File(Entry("secrets", kOurs)), Step::kReaders),
     "--step readers: nobody else is there to write secrets; give --step writer"},
    {"EncryptedInTwoWays",
     Plan(File(Entry("secrets", Join(kAes, kIdentity))), Step::kWriter, {"secrets", "configmaps"}),
     "--resource configmaps: is not encrypted as secrets is in --from; take them one by one, each "
     "with a --name of its own"},
    {"NameInAnotherEntry", Plan(File(Entry("secrets", kOurs)), Step::kWriter, {"configmaps"}),
     "--from: line 4: kms okms encrypts secrets, too, and kube-apiserver takes a name in one entry "
     "alone; give another --name, or all that it encrypts with --resource"},
    {"KmsOfTheOthersOfItsEntry",
     Plan(File(Entry("secrets, configmaps", kOther)), Step::kWriter, {"secrets"}),
     "--from: line 4: kms other encrypts configmaps, too, and kube-apiserver takes a name in one "
     "entry alone; give all that it encrypts with --resource"},
    {"BadResource", Plan("", Step::kWriter, {"*"}),
     "--resource *: write '*.' for all of the core group, or '*.*' for all there is"},
};

class EncryptionPlanMistakes : public testing::TestWithParam<Mistake> {};

TEST_P(EncryptionPlanMistakes, AreOneLineWithoutASecret) {
  const absl::Status status = WriteEncryptionConfig(GetParam().plan).status();
  EXPECT_EQ(status.message(), GetParam().said);
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr(kSecret)));
}

INSTANTIATE_TEST_SUITE_P(Table, EncryptionPlanMistakes, testing::ValuesIn(kMistakes),
                         [](const auto& row) { return row.param.name; });

class EncryptionPlanOfKeys : public testing::TestWithParam<test::MisplacedKey> {};

TEST_P(EncryptionPlanOfKeys, NeverSaysWhatTheyAre) {
  for (const std::string& text : test::FilesOf(GetParam())) {
    for (const Step step : {Step::kReaders, Step::kWriter, Step::kOnly}) {
      for (const char* const name : {"okms", "other"}) {
        EncryptionPlan plan = Plan(text, step);
        plan.name = name;
        const auto written = WriteEncryptionConfig(plan);
        // What no list of names may have in it is wrong; where a name is, it may be one.
        EXPECT_TRUE(!written.ok() || absl::StartsWith(GetParam().name, "Kms")) << written->yaml;
        test::ExpectNoKey(std::string(written.status().message()));
        if (written.ok()) test::ExpectNoKey(written->caution);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, EncryptionPlanOfKeys, testing::ValuesIn(test::MisplacedKeys()),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace okms::ctl
