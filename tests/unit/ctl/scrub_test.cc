// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/scrub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace okms::ctl {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kCanary[] = "CanaryThatMustNotBeSeen";
constexpr char kSeed[] = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k";
constexpr char kSeedInHex[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

TEST(ScrubbedTest, TakesOutWhatIsSecret) {
  const std::string pem = absl::StrCat("-----BEGIN PRIVATE KEY-----\n", kCanary, "\n", kSeed,
                                       "\n-----END PRIVATE KEY-----");
  const std::vector<std::string> texts{
      pem,
      "before " + pem + " after",
      absl::StrCat("-----BEGIN PRIVATE KEY-----\\n", kCanary, "\\n-----END PRIVATE KEY-----"),
      absl::StrCat("-----BEGIN PRIVATE KEY-----\n", kCanary, "\nno end"),
      absl::StrCat("OKMS_SERV_ADDR=https://user:", kCanary, "@kms.example"),
      absl::StrCat("via http://u:", kCanary, "/p@ss@proxy:3128 or http://u:", kCanary, "@other"),
      absl::StrCat("OKMS_SERV_ADDR=user:", kCanary, "@kms:5696"),
      absl::StrCat("OKMS_SERV_ADDR=kms-a:5696,user:a=", kCanary, "/@x@kms:5696"),
      absl::StrCat("--serv-addr 'user:", kCanary, "@kms' d@e a:b"),
      absl::StrCat("OKMS_SERV_ADDR=https://user:", kCanary),
      absl::StrCat("https://kms:443/x https://u:p/", kCanary, " y"),
      absl::StrCat("OKMS_SERV_ADDR=user:", kCanary),
      absl::StrCat("plugin --serv-addr user:1", kCanary, "/x --sock /s"),
      absl::StrCat("PASSWORD=", kCanary),
      absl::StrCat("db_passwd: ", kCanary),
      absl::StrCat("{\"client_secret\" : \"", kCanary, "\"}"),
      absl::StrCat("--token ", kCanary),
      absl::StrCat("Authorization: Basic ", kCanary),
      absl::StrCat("curl -H 'bearer ", kCanary, "'"),
      absl::StrCat("SetCredential=client-key:", kCanary),
      absl::StrCat("SetCredentialEncrypted=client-key: \\\n  ", kCanary),
      absl::StrCat("PASSWORD=\\\n", kCanary),
      absl::StrCat("first token: x, then password: ", kCanary),
  };
  for (const std::string& text : texts) {
    EXPECT_THAT(Scrubbed(text), Not(HasSubstr(kCanary))) << text;
    EXPECT_THAT(Scrubbed(text), HasSubstr("[left out]")) << text;
  }
  for (const std::string seed : {kSeed, kSeedInHex}) {
    EXPECT_EQ(Scrubbed(absl::StrCat("the seed is ", seed, ".")), "the seed is [left out].\n");
  }
}

TEST(ScrubbedTest, LeavesWhatHelps) {
  const std::vector<std::string> texts{
      "LoadCredential=client-key:/etc/okms-k8s-encryption-provider/client.key",
      "ExecStart=/usr/bin/okms-k8s-encryption-provider --serv-addr https://kms.example:8443/a@b "
      "c@d",
      absl::StrCat("key 70001308-5674-43fe-93dd-6270ecac0710, sha256:", kSeedInHex),
      "2026-11-28T08:05:40+0000 okms-k8s-encryption-provider[12]: no answer: secrets stay readable",
      "/nix/store/0c0rmqyvw7yhrsw6cq2kbq4p9dkxjqb1-okms-k8s-encryption-provider-0.2.0/bin",
      "--serv-addr kms-a:5696,kms-b:5696 --sock @s OKMS_SERV_ADDR=https://kms.example",
      "https://kms.example:8443: connect: refused; kms-a:5696,kms-b:5696 (via https://[::1]:1).",
      "CapBnd:\t000001ffffffffff",
  };
  EXPECT_EQ(Scrubbed(texts[0]), texts[0] + "\n");
  EXPECT_THAT(Scrubbed(texts[1]), HasSubstr("--serv-addr https://[left out]@b c@d"));
  for (std::size_t i = 2; i + 1 < texts.size(); ++i) EXPECT_EQ(Scrubbed(texts[i]), texts[i] + "\n");
  EXPECT_EQ(Scrubbed(texts.back()), "CapBnd: 000001ffffffffff\n");
}

TEST(ScrubbedTest, MakesTheRestHarmless) {
  EXPECT_EQ(Scrubbed("a\x1b[2Jb\xff\r\nc"), "a?[2Jb?\nc\n");
}

TEST(OnlyOurVariablesTest, ShowsOnlyOurs) {
  EXPECT_EQ(
      OnlyOurVariables("# OLD=secret\n\n  OKMS_PROTOCOL=kmip\n"
                       "OKMS_KEY_LABEL=\"my label\"\n"
                       "HTTPS_PROXY=http://u:p w@proxy\n; x\nexport OKMS_DEBUG='1'\nMIIEvQ==\n"),
      "OKMS_PROTOCOL=kmip\nOKMS_KEY_LABEL=my [left out]\nHTTPS_PROXY=[left out] [left out]\n"
      "[left out] OKMS_DEBUG=1\n[left out]\n");
}

TEST(UnitWithoutSecretsTest, ShowsTheUnitButNotItsVariables) {
  EXPECT_EQ(UnitWithoutSecrets("# /etc/systemd/system/a.service\n# PW=secret\n[Service]\n"
                               "Environment=OKMS_ALLOW_GID=kms \"PW=a b\"\n"
                               "Environment=A=1 \\\n  PW=secret\nUMask=0077\n"),
            "# /etc/systemd/system/a.service\n[Service]\n"
            "Environment=OKMS_ALLOW_GID=kms PW=[left out] [left out]\n"
            "Environment=A=[left out] PW=[left out]\nUMask=0077\n\n");
}

}  // namespace
}  // namespace okms::ctl
