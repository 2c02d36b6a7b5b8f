// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Certificates that change while the plugin runs: what is taken, and when.

#include <string>
#include <utility>

#include "integration/reload_test.h"

namespace okms::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

INSTANTIATE_TEST_SUITE_P(, ReloadTest, testing::Values(Speaks::kKmip, Speaks::kRest), NameOf);

TEST_P(ReloadTest, ANewPairIsTakenUnderLoadAndNoCallIsLost) {
  StartServing();
  StartLoad();
  ASSERT_TRUE(MoreCalls());
  InstallNew("plugin-2");
  ASSERT_TRUE(Reload(kTaken)) << plugin().Err();
  EXPECT_THAT(plugin().Err(),
              ContainsRegex("certificates read again: --c[a-z-]+ until 20[0-9-]+.*; proven with "
                            "key "));
  EXPECT_TRUE(WaitUntil([&] { return clients_.Admitted("plugin-2") > 1; }));
  ASSERT_TRUE(MoreCalls());
  EXPECT_THAT(StopLoad(), IsEmpty());
  ExpectNewConnectionsAs("plugin-2", "plugin");
}

// As Kubernetes and cert-manager change them: nothing but one link.
TEST_P(ReloadTest, ALinkThatSwingsUnderLoad) {
  const auto generation = [this](const std::string& name) {
    fs::create_directory(At(name));
    for (const std::string file : {"client.pem", "client.key"}) {
      fs::rename(At(file), At(name + "/" + file));
    }
  };
  generation("..1");
  fs::create_directory_symlink("..1", At("..data"));
  for (const std::string file : {"client.pem", "client.key"}) {
    fs::create_symlink("..data/" + file, At(file));
  }
  StartServing();
  StartLoad();
  for (int next = 2; next < 5; ++next) {
    ASSERT_TRUE(MoreCalls());
    const KeyPairFiles pair = Issue({.common_name = absl::StrCat("plugin-", next)});
    const std::string folder = absl::StrCat("..", next);
    fs::create_directory(At(folder));
    Put(pair.certificate, folder + "/client.pem");
    Put(pair.key, folder + "/client.key");
    fs::create_directory_symlink(folder, At("..data_tmp"));
    fs::rename(At("..data_tmp"), At("..data"));
    fs::remove_all(At(absl::StrCat("..", next - 1)));
    ASSERT_TRUE(Reload(kTaken)) << plugin().Err();
  }
  ASSERT_TRUE(MoreCalls());
  EXPECT_THAT(StopLoad(), IsEmpty());
  ExpectNewConnectionsAs("plugin-4", "plugin-3");
}

TEST_P(ReloadTest, WhatHasNotChangedStays) {
  StartServing();
  ASSERT_TRUE(Reload(kSame)) << plugin().Err();
  ASSERT_TRUE(Reload(kSame));
  EXPECT_EQ(Lines(kTaken) + Lines(kNotTaken), 0);
  ExpectRoundTrip();
}

// The KMS does not let the old one in any more: nothing works until the new one is there.
TEST_P(ReloadTest, TheKmsRefusesTheOldOne) {
  StartServing();
  clients_.Refuse("plugin");
  DropConnections();
  EXPECT_THAT(AwaitStatus(Code::kUnauthenticated),
              StatusIs(Code::kUnauthenticated, HasSubstr("the KMS refuses our certificate")));
  InstallNew("plugin-2");
  ASSERT_TRUE(Reload(kTaken)) << plugin().Err();
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_P(ReloadTest, TheKmsDoesNotKnowTheNewOneYet) {
  StartServing();
  clients_.Refuse("plugin-2");
  InstallNew("plugin-2");
  ASSERT_TRUE(Reload(absl::StrCat(kNotTaken, "with them, "))) << plugin().Err();
  ExpectNewConnectionsAs("plugin", "plugin-2");
  InstallNew("plugin-3");
  ASSERT_TRUE(Reload(kTaken)) << plugin().Err();
  ExpectNewConnectionsAs("plugin-3", "plugin");
}

TEST_P(ReloadTest, NothingWasEverAdopted) {
  Install(Issue({.common_name = "plugin", .valid_from = -7200, .valid_until = -3600}));
  StartEither();
  StartPlugin();
  EXPECT_THAT(AwaitStatus(Code::kUnauthenticated), Not(IsOk()));
  InstallNew("plugin-2");
  ASSERT_TRUE(Reload(kTaken)) << plugin().Err();
  EXPECT_THAT(plugin().Err(), HasSubstr("; no key is in use yet"));
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_P(ReloadTest, TheKmsIsAwayThenThere) {
  StartServing();
  if (GetParam() == Speaks::kKmip) {
    StopKms();
  } else {
    StopOkms();
  }
  InstallNew("plugin-2");
  ASSERT_TRUE(Reload(absl::StrCat(kNotTaken, "with them, "))) << plugin().Err();
  StartEither();
  // By itself, and without another word before.
  EXPECT_TRUE(plugin().WaitForLine(kTaken)) << plugin().Err();
  EXPECT_EQ(Lines(kNotTaken), 1);
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectNewConnectionsAs("plugin-2", "plugin");
}

TEST_P(ReloadTest, EndsInTheMidstOfIt) {
  StartServing();
  Hang();
  InstallNew("plugin-2");
  plugin().Signal(SIGHUP);
  ASSERT_TRUE(WaitUntil([&] { return clients_.Admitted("plugin-2") > 0; }));
  const Deadline begin = Clock::now();
  EXPECT_EQ(StopPlugin(), 0);
  EXPECT_LT(Clock::now() - begin, kPatience);
}

TEST_P(ReloadTest, TheNewestWins) {
  StartServing();
  Hang();
  InstallNew("plugin-2");
  plugin().Signal(SIGHUP);
  ASSERT_TRUE(WaitUntil([&] { return clients_.Admitted("plugin-2") > 0; }));
  AnswerAgain();
  InstallNew("plugin-3");
  ASSERT_TRUE(Reload(kTaken)) << plugin().Err();
  EXPECT_EQ(Lines(kTaken), 1);
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectNewConnectionsAs("plugin-3", "plugin");
}

TEST_P(ReloadTest, WhatOnlyRootMayReadIsSaid) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root has files of its own here";
  StartServing();
  const KeyPairFiles pair = Issue({.common_name = "plugin-2"});
  Install(pair);
  ASSERT_EQ(::chown(At("client.key").c_str(), 0, 0), 0);
  ASSERT_TRUE(Reload(absl::StrCat(kNotTaken, "--client-key ", At("client.key"),
                                  ": cannot be read: open: Permission denied; let this service's "
                                  "user read it, or restart it; in use: --c")))
      << plugin().Err();
  ExpectRoundTrip();
  Own(At("client.key"));
  ASSERT_TRUE(Reload(kTaken)) << plugin().Err();
  ExpectNewConnectionsAs("plugin-2", "plugin");
}

TEST_P(ReloadTest, WhatOnlyRootMayReadIsSaidAtTheStart) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root has files of its own here";
  const std::string says = "warning: renewed certificates will not be read: ";
  StartServing();
  EXPECT_EQ(Lines(says), 0);
  StopPlugin();
  ASSERT_EQ(::chown(At("client.key").c_str(), 0, 0), 0);
  StartPlugin();
  ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  EXPECT_EQ(Lines(absl::StrCat(says, "--client-key ", At("client.key"),
                               ": cannot be read: open: Permission denied; let this service's user "
                               "read it, or restart it for each")),
            1)
      << plugin().Err();
}

// The folder itself is another one: with systemd's credentials, that is how they change.
class ReplacedFolderTest : public ReloadTest {
 protected:
  void ReplaceFolder() {
    fs::create_directory(dir_ / "next");
    const KeyPairFiles pair = Issue({.common_name = "plugin-2"});
    fs::rename(dir_ / "certs", dir_ / "old");
    fs::rename(dir_ / "next", dir_ / "certs");
    Install(pair);
    Put(pki_.ca(), "ca.pem");
  }
};
INSTANTIATE_TEST_SUITE_P(, ReplacedFolderTest, testing::Values(Speaks::kKmip, Speaks::kRest),
                         NameOf);

TEST_P(ReplacedFolderTest, OfCredentialsIsReadAgain) {
  StartEither();
  ChildOptions options;
  options.environment = {absl::StrCat("CREDENTIALS_DIRECTORY=", dir_ / "certs")};
  StartPlugin(std::move(options));
  ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  ReplaceFolder();
  ASSERT_TRUE(Reload(kTaken)) << plugin().Err();
  ExpectNewConnectionsAs("plugin-2", "plugin");
}

#ifndef OKMS_SANITIZED  // such a build has no sandbox
TEST_P(ReplacedFolderTest, OfOthersIsOutOfReach) {
  StartServing();
  ReplaceFolder();
  ASSERT_TRUE(Reload(absl::StrCat(kNotTaken, "--client-cert ", At("client.pem"),
                                  ": cannot be read: open: Permission denied; let this service's "
                                  "user read it, or restart it")))
      << plugin().Err();
  ExpectRoundTrip();
}
#endif

}  // namespace
}  // namespace okms::test
