// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// kube-apiserver's file, with a key where a slip of the hand brings it: nothing may say what it is.

#ifndef OKMS_TESTS_SUPPORT_MISPLACED_KEYS_H_
#define OKMS_TESTS_SUPPORT_MISPLACED_KEYS_H_

#include <gmock/gmock.h>

#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace okms::test {

struct MisplacedKey {
  std::string name;
  std::string providers;  // KEY stands for it; or, where there is "kind:" in it, the whole file
};
inline void PrintTo(const MisplacedKey& row, std::ostream* out) { *out << row.name; }

// What each row has twice, once for a key of 32 bytes and once for one of 16.
inline std::vector<std::string> FilesOf(const MisplacedKey& row) {
  const bool whole = row.providers.find("kind:") != std::string::npos;
  const std::string text = whole ? row.providers
                                 : absl::StrCat(
                                       "apiVersion: apiserver.config.k8s.io/v1\n"
                                       "kind: EncryptionConfiguration\n"
                                       "resources:\n  - resources: [secrets]\n    providers:\n",
                                       row.providers,
                                       "      - kms: {apiVersion: v2, name: okms, endpoint: "
                                       "unix:///run/kms.sock}\n");
  return {absl::StrReplaceAll(text, {{"KEY", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="}}),
          absl::StrReplaceAll(text, {{"KEY", "MTIzNDU2Nzg5MDEyMzQ1Ng=="}})};
}

inline void ExpectNoKey(const std::string& text) {
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("MTIzNDU2")));
}

inline std::vector<MisplacedKey> MisplacedKeys() {
  return {
      {"NoBlank", "      - aescbc: {keys: [{name: key1, secret:KEY}]}\n"},
      {"NoBlankOnALineOfItsOwn",
       "      - aescbc:\n          keys:\n            - secret:KEY\n              name: key1\n"},
      {"NoBlankOnTheLastLine",
       "      - aescbc:\n          keys:\n            - name: key1\n              secret:KEY\n"},
      {"NoBlankInAMap", "      - aescbc:\n          keys:\n            - secret:KEY:\n"},
      {"NoColon", "      - aescbc: {keys: [{name: key1, secret KEY}]}\n"},
      {"Equals", "      - aesgcm: {keys: [{name: key1, secret=KEY}]}\n"},
      {"Comma", "      - aescbc: {keys: [{name: key1, secret, KEY}]}\n"},
      {"Alone", "      - aescbc: {keys: [KEY]}\n"},
      {"AsAField", "      - secretbox: {keys: [{name: key1, KEY: secret}]}\n"},
      {"AsAFieldWithoutPadding",
       "      - secretbox: {keys: [{name: a, MTIzNDU2Nzg5MDEyMzQ1Ng}]}\n"},
      {"AsAListThatIsAField", "      - aescbc: {keys: [{? [secret, KEY] : a}]}\n"},
      {"JsonQuotedWhole", "      - {\"aescbc\": {\"keys\": [{\"secret:KEY\": \"\"}]}}\n"},
      {"JsonNoColon", "      - {\"aescbc\": {\"keys\": [{\"secret\" \"KEY\"}]}}\n"},
      {"JsonComma", "      - {\"aescbc\": {\"keys\": [{\"secret\", \"KEY\"}]}}\n"},
      {"OutsideKeys", "      - aescbc: {secret:KEY}\n"},
      {"OutsideKeysWithoutPadding", "      - aesgcm: {MTIzNDU2Nzg5MDEyMzQ1Ng: a}\n"},
      {"InPlaceOfKeys", "      - aescbc: {keys: KEY}\n"},
      {"NoBlankBehindTheProvider", "      - {aescbc:{keys: [{name: key1, secret: KEY}]}}\n"},
      {"NoBlankBehindTheProviderInABlock", "      - aescbc:{keys: [{name: key1, secret:KEY}]}\n"},
      {"InAMisspeltProvider", "      - aesCBC: {keys: [{name: key1, secret:KEY}]}\n"},
      {"AsAProvider", "      - KEY: {}\n"},
      {"AsAProviderWithItsField", "      - secret:KEY: {}\n"},
      {"BesideAProvider", "      - {aescbc: {keys: []}, secret: KEY}\n"},
      {"InIdentity", "      - identity: {secret:KEY}\n"},
      {"Twice", "      - aescbc: {keys: [{name: key1, secret: KEY, secret: KEY}]}\n"},
      {"Alias", "      - aescbc: {keys: [{name: key1, secret: *KEY}]}\n"},
      {"Anchor", "      - aescbc: {keys: [{name: key1, secret: &KEY}]}\n"},
      {"Tag", "      - aescbc: {keys: [{name: key1, secret: !KEY}]}\n"},
      {"OpenTag", "      - aescbc: {keys: [{name: key1, secret: !<KEY}]}\n"},
      {"Escape", "      - aescbc: {keys: [{name: key1, secret: \"\\KEY\"}]}\n"},
      {"OpenQuote", "      - aescbc: {keys: [{name: key1, secret: \"KEY}]}\n"},
      {"Reserved", "      - aescbc: {keys: [{name: key1, secret: @KEY}]}\n"},
      {"InAList", "      - aescbc: {keys: [{name: key1, secret: [KEY]}]}\n"},
      {"KmsName", "      - kms: {apiVersion: v2, name: KEY, endpoint: unix:///run/kms.sock}\n"},
      {"KmsNameWithAColon",
       "      - kms: {apiVersion: v2, name: secret:KEY, endpoint: unix:///run/kms.sock}\n"},
      {"KmsNameTwice",
       "      - kms: {apiVersion: v2, name: KEY, endpoint: unix:///run/one.sock}\n"
       "      - kms: {apiVersion: v2, name: KEY, endpoint: unix:///run/other.sock}\n"},
      {"KmsNameAndTheNextLine",
       "      - kms:\n          endpoint: unix:///run/kms.sock\n          name: okms\n"
       "          secret:KEY\n"},
      {"KmsEndpoint", "      - kms: {apiVersion: v2, name: okms, endpoint: KEY}\n"},
      {"KmsApiVersion",
       "      - kms: {apiVersion: KEY, name: okms, endpoint: unix:///run/kms.sock}\n"},
      {"KmsTimeout",
       "      - kms: {apiVersion: v2, name: a, endpoint: unix:///run/kms.sock, timeout: KEY}\n"},
      {"KmsCacheSize",
       "      - kms: {apiVersion: v2, name: a, endpoint: unix:///run/kms.sock, cachesize: KEY}\n"},
      {"KmsField",
       "      - kms: {apiVersion: v2, name: a, endpoint: unix:///run/kms.sock, secret:KEY}\n"},
      {"Kind", "kind: KEY\n"},
      {"Root",
       "kind: EncryptionConfiguration\nsecret:KEY:\n"
       "resources: [{resources: [secrets], providers: [{identity: {}}]}]\n"},
      {"Entry",
       "kind: EncryptionConfiguration\n"
       "resources: [{resources: [secrets], providers: [{identity: {}}], secret:KEY}]\n"},
      {"Resource",
       "kind: EncryptionConfiguration\n"
       "resources: [{resources: [secrets, KEY], providers: [{identity: {}}]},\n"
       "  {resources: [KEY], providers: [{identity: {}}, {kms: {apiVersion: v2, name: okms,\n"
       "    endpoint: unix:///run/kms.sock}}]}]\n"},
      {"Directive", "%KEY\n---\nkind: EncryptionConfiguration\n"},
      {"Version", "%YAML KEY\n---\nkind: EncryptionConfiguration\n"},
  };
}

}  // namespace okms::test

#endif  // OKMS_TESTS_SUPPORT_MISPLACED_KEYS_H_
