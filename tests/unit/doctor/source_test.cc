// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Where the configuration comes from, systemctl(1) included, in whose place there is a script.

#include "doctor/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "doctor/config_checks.h"
#include "doctor/environment_file.h"
#include "doctor/unit.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "unit/environment.h"

namespace okms::doctor {
namespace {

using test::IsOk;
using test::ScopedVariable;
using test::StatusIs;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(ParseEnvironmentFile, AsSystemdReadsIt) {
  EXPECT_THAT(ParseEnvironmentFile("# no\n; no\n\nA=1\n B = two words \nC=\"q # 'x' \"\n"
                                   "D='s \\ t'\nE=a\\\nb\nF=x\\\"y\nno line\nA=2\n"),
              ElementsAre(Pair("A", "2"), Pair("B", "two words"), Pair("C", "q # 'x' "),
                          Pair("D", "s \\ t"), Pair("E", "ab"), Pair("F", "x\"y")));
}

TEST(SplitWords, WithQuotes) {
  EXPECT_THAT(SplitWords(" A=1  \"B=two words\" C='3 4' \"\" "),
              ElementsAre("A=1", "B=two words", "C=3 4", ""));
}

TEST(ParseCredentials, ResolvesNamesAndForgetsWhatIsTakenBack) {
  const auto credentials = ParseCredentials(
      "# /etc/systemd/system/okms@a.service\n[Service]\nLoadCredential=x:/x\nLoadCredential=\n"
      "LoadCredential=ca:%N.ca\nLoadCredential=client-cert:/etc/%p/%i.pem\n"
      "LoadCredentialEncrypted=client-key:/etc/100%%/k\n",
      "okms@a.service");
  ASSERT_EQ(credentials.size(), 3U);
  EXPECT_EQ(credentials[0].path, "okms@a.ca");
  EXPECT_EQ(credentials[1].path, "/etc/okms/a.pem");
  EXPECT_EQ(credentials[2].path, "/etc/100%/k");
  EXPECT_TRUE(credentials[2].encrypted);
}

class FindUnit : public testing::Test {
 protected:
  void Script(const std::string& text) {
    const std::string path = dir_ / "systemctl";
    std::ofstream(path) << "#!/bin/sh\n" << text;
    ::chmod(path.c_str(), 0755);
  }

  test::TempDir dir_;
  const ScopedVariable path_{"PATH", absl::StrCat(dir_.path(), ":/usr/bin:/bin")};
};

constexpr char kSystemctl[] = R"sh(
echo "$*" >> "$FOLDER/calls"
case "$*" in
*show*okms.service)
  echo LoadState=loaded
  echo ActiveState=active
  echo User=okms-kms
  echo 'ExecStart={ path=/usr/bin/okms ; argv[]=/usr/bin/okms --timeout 3s ; ignore_errors=no ; pid=0 }'
  echo 'Environment=OKMS_ALLOW_GID=okms-kms "OKMS_KEY_LABEL=two words"'
  echo "EnvironmentFiles=$FOLDER/environment (ignore_errors=yes)"
  echo "EnvironmentFiles=/no/such/file (ignore_errors=yes)" ;;
*cat*okms.service)
  echo '[Service]'
  echo 'LoadCredential=client-cert:/etc/okms/client.pem'
  echo 'LoadCredential=ca:no-such-credential.ca' ;;
*show*okms.socket)
  echo LoadState=loaded
  echo 'Listen=/run/okms/kms.sock (Stream)' ;;
esac
)sh";

TEST_F(FindUnit, TakesFlagsVariablesFilesCredentialsAndTheSocket) {
  std::ofstream(dir_ / "environment") << "OKMS_PROTOCOL=kmip\nOKMS_DEBUG=1\n";
  const ScopedVariable folder("FOLDER", dir_.path());
  Script(kSystemctl);
  const auto found = Find({.flags = {}, .environment_file = "", .unit = "okms"});
  ASSERT_THAT(found, IsOk());
  EXPECT_THAT(found->flags, ElementsAre("--client-cert=/etc/okms/client.pem", "--timeout", "3s"));
  EXPECT_THAT(found->variables,
              ElementsAre(Pair("OKMS_ALLOW_GID", "okms-kms"), Pair("OKMS_DEBUG", "1"),
                          Pair("OKMS_KEY_LABEL", "two words"), Pair("OKMS_PROTOCOL", "kmip")));
  ASSERT_TRUE(found->socket.has_value());
  EXPECT_EQ(found->socket->path, "/run/okms/kms.sock");
  EXPECT_EQ(found->user, "okms-kms");
  EXPECT_TRUE(found->runs);
  EXPECT_THAT(found->passed, ElementsAre("/etc/okms/client.pem"));
  std::ifstream calls(dir_ / "calls");
  std::string line;
  int count = 0;
  while (std::getline(calls, line)) ++count;
  EXPECT_EQ(count, 3);  // what the socket's files say nobody asks
}

TEST_F(FindUnit, SaysWhyThereIsNone) {
  Script("echo LoadState=not-found");
  EXPECT_THAT(Find({}), StatusIs(absl::StatusCode::kNotFound,
                                 "okms-k8s-encryption-provider.service: systemd has no such unit "
                                 "(not-found)"));
  Script("echo 'Failed to connect to bus' >&2; exit 1");
  EXPECT_THAT(Find({}),
              StatusIs(absl::StatusCode::kUnavailable, "systemctl: Failed to connect to bus"));
  const ScopedVariable nowhere("PATH", dir_ / "none");
  EXPECT_THAT(Find({}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("systemctl: No such file")));
}

TEST_F(FindUnit, WithoutSystemdThereAreOtherSources) {
  const auto expect_others = [](Outcome outcome) {
    Request request;
    request.source.unit = "okms";
    request.encryption_config = "enc.yaml";
    Examination all(request);
    const Verdicts verdicts = CheckSource(all);
    ASSERT_EQ(verdicts.size(), 1U);
    EXPECT_EQ(verdicts[0].outcome, outcome);
    EXPECT_THAT(verdicts[0].line,
                HasSubstr("; without systemd, name the file of variables, or give the plugin's "
                          "flags after --"));
    EXPECT_EQ(verdicts[0].mend, "okms-kms-ctl check --env-file FILE --encryption-config enc.yaml");
  };
  Script(
      "echo 'System has not been booted with systemd as init system (PID 1). Cannot operate.' >&2; "
      "exit 1");
  expect_others(Outcome::kUnknown);
  const ScopedVariable nowhere("PATH", dir_ / "none");
  expect_others(Outcome::kFailed);
}

TEST(Become, TakesTheVariablesOfTheSourceAndNoOthers) {
  const ScopedVariable ours("OKMS_PROTOCOL", "rest");
  const ScopedVariable proxy("HTTPS_PROXY", "http://here");
  const ScopedVariable modules("OPENSSL_MODULES", "/here");
  const ScopedVariable theirs("OKMS_KEY_ID", std::nullopt);
  const ScopedVariable strange("OTHER_VARIABLE", std::nullopt);
  Found found;
  found.variables = {{"OKMS_KEY_ID", "k"}, {"OTHER_VARIABLE", "x"}};
  Become(found);
  EXPECT_EQ(std::getenv("OKMS_PROTOCOL"), nullptr);
  EXPECT_EQ(std::getenv("HTTPS_PROXY"), nullptr);
  EXPECT_EQ(std::getenv("OPENSSL_MODULES"), nullptr);
  EXPECT_STREQ(std::getenv("OKMS_KEY_ID"), "k");
  EXPECT_EQ(std::getenv("OTHER_VARIABLE"), nullptr);  // none of the plugin's
}

}  // namespace
}  // namespace okms::doctor
