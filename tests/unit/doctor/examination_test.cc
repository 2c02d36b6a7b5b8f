// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The commands that findings name.

#include "doctor/examination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "doctor/config_checks.h"

namespace okms::doctor {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Commands, RepeatWhatWasAsked) {
  Request request;
  request.source.unit = "okms@a.service";
  request.as_user = "kube";
  request.encryption_config = "/etc/k8s/the file's.yaml";
  EXPECT_EQ(Examination(request).AsRoot(),
            "sudo okms-kms-ctl check --unit okms@a.service --as kube "
            "--encryption-config '/etc/k8s/the file'\\''s.yaml'");
  EXPECT_EQ(Examination(request).WithAnotherKey(),
            "okms-kms-ctl check --unit okms@a.service --key ANOTHER-ID");
  Request file;
  file.source.environment_file = "environment";
  file.source.flags = {"--timeout", "3s", ""};
  EXPECT_EQ(Examination(file).AsRoot(),
            "sudo okms-kms-ctl check --env-file environment -- --timeout 3s ''");
}

TEST(Commands, AreOfTheUnit) {
  Examination all(Request{});
  EXPECT_EQ(all.StartCommand(), "systemctl start okms-k8s-encryption-provider.service");
  all.found.unit = "okms@a.service";
  all.found.passed = {"/etc/okms/client.pem"};
  EXPECT_EQ(all.StartCommand(), "systemctl start okms@a.service");
  EXPECT_EQ(all.StatusCommand(), "systemctl status okms@a.service");
  EXPECT_EQ(all.LogCommand(), "journalctl -u okms@a.service");
  EXPECT_EQ(all.ReloadCommand("/etc/okms/ca.pem"), "systemctl reload okms@a.service");
  EXPECT_EQ(all.ReloadCommand("/etc/okms/client.pem"), "systemctl restart okms@a.service");
}

TEST(Commands, OfAnEnvironmentFileNameNoUnit) {
  Request request;
  request.source.environment_file = "/etc/my okms";
  Examination all(request);
  all.config.emplace();
  all.config->socket.path = "/run/kms.sock";
  EXPECT_EQ(all.StartCommand(),
            "systemd-run --property='EnvironmentFile=/etc/my okms' okms-k8s-encryption-provider");
  EXPECT_EQ(all.StatusCommand(), "okms-kms-ctl status --socket /run/kms.sock");
  EXPECT_EQ(all.LogCommand(), "journalctl -t okms-k8s-encryption-provider");
  EXPECT_EQ(all.ReloadCommand("/etc/okms/ca.pem"), "pkill -HUP -x okms-k8s-encryp");
}

// A key that root alone can read is of no use to a plugin that is not root.
TEST(Commands, GiveTheKeyToWhoReadsIt) {
  const passwd* const somebody = ::getpwuid(65534);
  if (somebody == nullptr) GTEST_SKIP() << "needs a user that is not root";
  Examination all(Request{});
  all.config.emplace();
  all.config->tls.client_key.path = "/etc/okms/client.key";
  all.files.client_key = absl::FailedPreconditionError("broken");
  all.found.user = somebody->pw_name;
  const std::string rest = " -m 600 KEY.pem /etc/okms/client.key";
  EXPECT_EQ(CheckClientKey(all)[0].mend, absl::StrCat("install -o ", somebody->pw_name, rest));
  all.found.passed = {"/etc/okms/client.key"};  // by systemd, which is root
  EXPECT_EQ(CheckClientKey(all)[0].mend, absl::StrCat("install -o root", rest));
}

}  // namespace
}  // namespace okms::doctor
