// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/encryption_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "support/misplaced_keys.h"

namespace okms::doctor {
namespace {

using std::chrono::milliseconds;

constexpr char kWell[] = R"(
      - kms:
          apiVersion: v2
          name: okms
          endpoint: unix:///run/kms.sock
      - identity: {}
)";

std::string File(const std::string& providers, const std::string& more = "") {
  return absl::StrCat(
      "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
      "  - resources: [secrets]\n    providers:",
      providers, more);
}

// What all checks say that is not "passed"; or what is wrong with the file.
std::string Said(const std::string& text, std::optional<milliseconds> trip) {
  Request request;
  request.encryption_config = "FILE";
  Examination all(request);
  auto config = ParseEncryptionConfig(text);
  if (!config.ok()) return std::string(config.status().message());
  all.apiserver = *std::move(config);
  all.config.emplace();
  all.config->timeout = std::chrono::seconds(10);
  all.config->socket.path = "/run/kms.sock";
  Endpoint& endpoint = all.endpoints.emplace_back();
  if (trip) endpoint.trip = {Ciphertext(), *trip};
  std::string said;
  for (auto* const check :
       {CheckFields, CheckApiserverEndpoint, CheckApiVersion, CheckCacheSize, CheckProviderName,
        CheckApiserverTimeout, CheckProviderOrder, CheckIdentity, CheckDuplicates}) {
    for (const Verdict& verdict : check(all)) {
      if (verdict.outcome == Outcome::kPassed) continue;
      EXPECT_NE(verdict.mend, "");
      absl::StrAppend(&said, ToString(verdict.outcome), ": ", verdict.line, "\n");
    }
  }
  return said;
}

std::string Kms(const std::string& lines) {
  return absl::StrCat("\n      - kms:\n          ", lines, "\n");
}

constexpr char kRest[] =
    "\n          apiVersion: v2\n          name: okms\n          endpoint: unix:///run/kms.sock";

struct Row {
  std::string name;
  std::string text;
  std::string said;
  // A round trip with the key; none: there was none.
  std::optional<milliseconds> trip = milliseconds(1);
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

const std::vector<Row> kRows{
    {"Well", File(kWell), ""},
    {"WellWithoutIdentity", File(Kms(absl::StrCat("timeout: 3s", kRest))), ""},
    {"IdentityInTheMiddle",
     File(kWell, "      - kms: {apiVersion: v2, name: old, endpoint: unix:///run/old.sock}\n"),
     "warning: FILE:10: identity: is not the last provider of secrets; put it last\n"},
    {"NoYaml", "a: [", "line 1: is no YAML: end of sequence flow not found"},
    {"AnotherKind", "kind: Pod", "line 1: kind is Pod, not EncryptionConfiguration"},
    {"NoResources", "kind: EncryptionConfiguration", "line 1: has no list of resources"},
    {"NotIndented", File("\n      - kms:\n        name: okms\n"),
     "line 6: each entry of providers is one provider: its kind and a colon"},
    {"NoKms", File("\n      - identity: {}\n"),
     "failed: FILE: has no kms provider; add one with endpoint: unix:///run/kms.sock\n"},
    {"NoApiVersion", File(Kms("name: okms\n          endpoint: unix:///run/kms.sock")),
     "failed: FILE:6: kms okms: has no apiVersion, which means v1, which is gone; write "
     "apiVersion: v2\n"},
    {"ApiVersion1",
     File(Kms("apiVersion: v1\n          name: okms\n          endpoint: unix:///run/kms.sock")),
     "failed: FILE:6: kms okms: has apiVersion v1; the plugin speaks v2 alone\n"},
    {"CacheSize", File(Kms(absl::StrCat("cachesize: 1000", kRest))),
     "failed: FILE:6: kms okms: has a cachesize, with which kube-apiserver does not start on v2; "
     "take it out\n"},
    {"AnotherEndpoint",
     File(Kms("apiVersion: v2\n          name: okms\n          endpoint: unix:///run/other.sock")),
     "failed: FILE:6: kms okms: its endpoint is unix:///run/other.sock, and the plugin's socket is "
     "/run/kms.sock; write endpoint: unix:///run/kms.sock\n"},
    {"EndpointWithoutScheme",
     File(Kms("apiVersion: v2\n          name: okms\n          endpoint: /run/other.sock")),
     "failed: FILE:6: kms okms: its endpoint is no unix:// address: /run/other.sock\n"},
    {"NameWithAColon",
     File(Kms("apiVersion: v2\n          name: a:b\n          endpoint: unix:///run/kms.sock")),
     "failed: FILE:6: kms a:b: its name has a colon in it, which kube-apiserver refuses; take it "
     "out\n"},
    {"NoName", File(Kms("apiVersion: v2\n          endpoint: unix:///run/kms.sock")),
     "failed: FILE:6: kms: has no name; give one, and never change it\n"},
    {"TimeoutOfNoUse", File(Kms(absl::StrCat("timeout: 1ms", kRest))),
     "failed: FILE:6: kms okms: its timeout is 1ms, in which the plugin cannot ask the KMS twice; "
     "nothing could be written; write for example 3s\n",
     std::nullopt},
    {"TimeoutOfLittleUse", File(Kms(absl::StrCat("timeout: 50ms", kRest))),
     "warning: FILE:6: kms okms: its timeout is 50ms, and a round trip with the key took 4ms: with "
     "a new connection, or a slower answer, nothing could be written; write for example 3s\n",
     milliseconds(4)},
    {"TimeoutShorterThanTheRoundTrip", File(Kms(absl::StrCat("timeout: 50ms", kRest))),
     "failed: FILE:6: kms okms: its timeout is 50ms, and a round trip with the key took 60ms; "
     "nothing could be written; make it longer\n",
     milliseconds(60)},
    {"MisspeltField", File(Kms(absl::StrCat("timeOut: 3s", kRest))),
     "failed: FILE:7: kube-apiserver does not start: strict decoding error: unknown field "
     "\"resources[0].providers[0].kms.timeOut\"; did you mean timeout?\n"},
    {"FieldsThatAreNone",
     File("\n      - kms: {apiVersion: v2, name: okms, endpoint: unix:///run/kms.sock}\n"
          "      - aescbc: {keys: [{name: k, secret: c2VjcmV0, strength: 256}]}\n"
          "      - identity: {a: b}\n",
          "    note: x\nspec: {}\n"),
     "failed: FILE:10: kube-apiserver does not start: strict decoding error: unknown field "
     "\"spec\"; take it out\n"
     "failed: FILE:9: kube-apiserver does not start: strict decoding error: unknown field "
     "\"resources[0].note\"; take it out\n"
     "failed: FILE:7: kube-apiserver does not start: strict decoding error: a field of "
     "resources[0].providers[1].aescbc.keys[0] that is neither name nor secret; is there a blank "
     "behind the colon?\n"
     "failed: FILE:8: kube-apiserver does not start: strict decoding error: unknown field "
     "\"resources[0].providers[2].identity.a\"; take it out\n"},
    {"MisspeltProvider", File(kWell, "      - secretBox: {keys: []}\n"),
     "failed: FILE:11: kube-apiserver does not start: strict decoding error: unknown field "
     "\"resources[0].providers[2].secretBox\"; did you mean secretbox?\n"
     "warning: FILE:10: identity: is not the last provider of secrets; put it last\n"},
    // What may be a key is not said.
    {"FieldsWithoutABlank",
     File("\n      - kms: {apiVersion: v2, name: okms, endpoint: unix:///run/kms.sock}\n"
          "      - aescbc: {Keys: []}\n"
          "      - secretbox: {keys: [{name: k, secret:c2VjcmV0}, {Name: k}]}\n"
          "      - kms: {name:other}\n      - c2VjcmV0Cg==: {}\n      - identity: {name:a}\n",
          "    secret:c2VjcmV0: {}\nspec:c2VjcmV0: {}\n"),
     absl::StrReplaceAll(
         "NO13: START: a field of the file that is none of apiVersion, kind, resources; BLANK\n"
         "NO12: START: a field of resources[0] that is neither resources nor providers; BLANK\n"
         "NO7: START: a field of resources[0].providers[1].aescbc that is not keys; did you mean "
         "keys?\n"
         "NO8: START: a field of resources[0].providers[2].secretbox.keys[0] that is neither name "
         "nor secret; BLANK\n"
         "NO8: START: a field of resources[0].providers[2].secretbox.keys[1] that is neither name "
         "nor secret; did you mean name?\n"
         "NO9: START: a field of resources[0].providers[3].kms that is none of apiVersion, name, "
         "cachesize, endpoint, timeout; BLANK\n"
         "NO10: START: a field of resources[0].providers[4] that is none of aesgcm, aescbc, "
         "secretbox, identity, kms; BLANK\n"
         "NO11: START: a field of resources[0].providers[5].identity, which has none; BLANK\n",
         {{"NO", "failed: FILE:"},
          {"START", "kube-apiserver does not start: strict decoding error"},
          {"BLANK", "is there a blank behind the colon?"}})},
    {"FieldsTwice",
     File("\n      - kms: {apiVersion: v2, name: okms, endpoint: unix:///run/kms.sock}\n"
          "      - aescbc: {keys: [{name: k, secret: a, secret: c2VjcmV0}], \"keys\": []}\n",
          "    resources: [configmaps]\nkind: EncryptionConfiguration\n"),
     absl::StrReplaceAll(
         "9: START \"kind\"; ONE\n8: START \"resources[0].resources\"; ONE\n"
         "7: START \"resources[0].providers[1].aescbc.keys\"; ONE\n"
         "7: START \"resources[0].providers[1].aescbc.keys[0].secret\"; ONE\n",
         {{"9:", "failed: FILE:9:"},
          {"8:", "failed: FILE:8:"},
          {"7:", "failed: FILE:7:"},
          {"START", "kube-apiserver does not start: strict decoding error: duplicate field"},
          {"ONE", "make one of them"}})},
    {"EntryWithoutProviders", "kind: EncryptionConfiguration\nresources: [{resources: [secrets]}]",
     "line 2: an entry needs a list of resources and a list of providers"},
    {"NoTimeout", File(Kms(absl::StrCat("timeout: 0s", kRest))),
     "failed: FILE:6: kms okms: its timeout 0s is no time above 0; write for example 3s\n"},
    {"TimeoutThatIsNoTime", File(Kms(absl::StrCat("timeout: 3", kRest))),
     "failed: FILE:6: kms okms: its timeout 3 is no time above 0; write for example 3s\n"},
    {"TimeoutTooShort", File(kWell),
     "failed: FILE:6: kms okms: its timeout is 3s, and a round trip with the key took 3.1s; "
     "nothing could be written; make it longer\n",
     milliseconds(3100)},
    {"TimeoutLongerThanOurs", File(Kms(absl::StrCat("timeout: 1m", kRest))),
     "warning: FILE:6: kms okms: its timeout is 1m, and the plugin ends an operation after 10s "
     "(--timeout): the rest has no effect\n"},
    {"IdentityFirst",
     File(absl::StrCat("\n      - identity: {}", Kms(absl::StrCat("timeout: 3s", kRest)))),
     "failed: FILE:6: identity: is the first provider of secrets, so they are written "
     "unencrypted: "
     "right for the first step of turning on and for the way back, else put kms first\n"},
    {"IdentityFirstOnOneLine",
     R"({"kind": "EncryptionConfiguration", "resources": [{"resources": ["secrets"], "providers": )"
     R"([{"identity": {}}, {"kms": {"apiVersion": "v2", "name": "okms", )"
     R"("endpoint": "unix:///run/kms.sock"}}]}]})",
     "failed: FILE:1: identity: is the first provider of secrets, so they are written "
     "unencrypted: "
     "right for the first step of turning on and for the way back, else put kms first\n"},
    {"TwoEntriesOnOneLine",
     R"({"kind": "EncryptionConfiguration", "resources": [)"
     R"({"resources": ["pods"], "providers": [{"identity": {}}]}, )"
     R"({"resources": ["secrets"], "providers": [{"kms": {"apiVersion": "v2", "name": "okms", )"
     R"("endpoint": "unix:///run/kms.sock"}}, {"identity": {}}]}]})",
     ""},
    {"AnotherFirst",
     File(absl::StrCat("\n      - aescbc: {keys: [{name: k, secret: c2VjcmV0}]}",
                       Kms(absl::StrCat("timeout: 3s", kRest)))),
     "failed: FILE:6: aescbc: is the first provider of secrets, so it encrypts them, not the KMS: "
     "right for the first step of a change to the KMS, else put kms first\n"},
    {"SameNameTwice",
     File(kWell,
          "  - resources: [configmaps]\n    providers:\n"
          "      - kms: {apiVersion: v2, name: okms, endpoint: unix:///run/kms.sock}\n"),
     "failed: FILE:13: kms okms: another kms provider has that name, with which kube-apiserver "
     "does not start; name each once\n"},
    {"SameResourceTwice", File(kWell, "  - resources: [secrets]\n    providers: [identity: {}]\n"),
     "warning: FILE: secrets stands in two entries, of which the first counts\n"},
};

class EncryptionChecks : public testing::TestWithParam<Row> {};

TEST_P(EncryptionChecks, SayItInOneLine) {
  EXPECT_EQ(Said(GetParam().text, GetParam().trip), GetParam().said);
}

INSTANTIATE_TEST_SUITE_P(Table, EncryptionChecks, testing::ValuesIn(kRows),
                         [](const auto& row) { return row.param.name; });

class EncryptionChecksOfKeys : public testing::TestWithParam<test::MisplacedKey> {};

TEST_P(EncryptionChecksOfKeys, NeverSayWhatTheyAre) {
  for (const std::string& text : test::FilesOf(GetParam())) {
    test::ExpectNoKey(Said(text, milliseconds(1)));
  }
}

INSTANTIATE_TEST_SUITE_P(Table, EncryptionChecksOfKeys, testing::ValuesIn(test::MisplacedKeys()),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace okms::doctor
