// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Certificates that change while the plugin runs: what is not taken, and what is left of it.

#include <unistd.h>

#include <atomic>
#include <functional>
#include <iterator>
#include <string>
#include <thread>

#include "absl/strings/numbers.h"
#include "integration/reload_test.h"

namespace okms::test {
namespace {

using testing::ContainsRegex;
using testing::IsEmpty;

void Halve(const std::string& path) { fs::resize_file(path, fs::file_size(path) / 2); }

class WrongFilesTest : public ReloadTest {
 protected:
  // Each in its turn, of one plugin: what is on disk is wrong in that way, then good again.
  void ExpectNotTaken(const std::string& says, const std::function<void()>& spoil) {
    SCOPED_TRACE(says);
    const int taken = Lines(kTaken);
    spoil();
    ASSERT_TRUE(Reload(kNotTaken)) << plugin().Err();
    EXPECT_THAT(plugin().Err(),
                ContainsRegex(absl::StrCat("certificates on disk are not taken: ", says,
                                           ".*; in use: --c[a-z-]+ until 20")));
    ExpectRoundTrip();
    EXPECT_EQ(Lines(kTaken), taken);
    ++number_;
    Put(pki_.ca(), "ca.pem");
    InstallNew(absl::StrCat("good-", number_));
    ASSERT_TRUE(Reload(kTaken)) << plugin().Err();
    ExpectRoundTrip();
    EXPECT_GT(clients_.Admitted(absl::StrCat("good-", number_)), 0);
  }

 private:
  int number_ = 0;
};
INSTANTIATE_TEST_SUITE_P(, WrongFilesTest, testing::Values(Speaks::kKmip, Speaks::kRest), NameOf);

TEST_P(WrongFilesTest, AreNotTakenAndAGoodPairIsTakenAfterThem) {
  StartServing();
  ExpectNotTaken("--client-cert .*: holds no PEM certificate",
                 [&] { Write(At("client.pem"), "no certificate"); });
  ExpectNotTaken("--client-cert .*: is empty", [&] { Write(At("client.pem"), ""); });
  ExpectNotTaken("--client-cert .*: certificate 1 .* is broken", [&] { Halve(At("client.pem")); });
  ExpectNotTaken("--client-key .*: holds no usable PEM private key",
                 [&] { Halve(At("client.key")); });
  ExpectNotTaken("--client-key .*: does not belong to the certificate of --client-cert",
                 [&] { Put(Issue({.common_name = "half-way"}).certificate, "client.pem"); });
  ExpectNotTaken("--client-cert .*: expired on 20", [&] {
    Install(Issue({.common_name = "late", .valid_from = -7200, .valid_until = -3600}));
  });
  ExpectNotTaken("--client-cert .*: not valid before 20", [&] {
    Install(Issue({.common_name = "early", .valid_from = 3600, .valid_until = 7200}));
  });
  ExpectNotTaken("with them, .*the KMS's certificate is refused", [&] {
    TempDir elsewhere;
    Put(Must(TestPki::Create(elsewhere.path(), "Other CA")).ca(), "ca.pem");
  });
  ExpectNotTaken("--ca .*: cannot be read: open: No such file", [&] { fs::remove(At("ca.pem")); });
}

TEST_P(WrongFilesTest, WhatIsNoFileHoldsNothingUp) {
  StartServing();
  ExpectNotTaken("--client-key .*: is a FIFO; name the PEM file", [&] {
    fs::remove(At("client.key"));
    Must(::mkfifo(At("client.key").c_str(), 0644) == 0, "mkfifo");
  });
  ExpectNotTaken("--client-cert .*: cannot be read: open: No such file", [&] {
    fs::remove(At("client.pem"));
    fs::create_symlink("nowhere", At("client.pem"));
  });
  ExpectNotTaken("--ca .*: is larger than 1 MiB", [&] { fs::resize_file(At("ca.pem"), 2 << 20); });
}

// Whoever writes it all the time keeps neither the plugin nor its calls waiting.
TEST_P(WrongFilesTest, AKeyThatGrowsWhileItIsRead) {
  StartServing();
  StartLoad();
  InstallNew("plugin-2");
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (std::ofstream key(At("client.key"), std::ios::app); !stop;) key << std::flush << "\n";
  });
  for (int i = 0; i < 10; ++i) {
    plugin().Signal(SIGHUP);
    EXPECT_TRUE(MoreCalls());
  }
  stop = true;
  writer.join();
  InstallNew("plugin-3");
  ASSERT_TRUE(WaitUntil([&] {
    plugin().Signal(SIGHUP);
    return clients_.Admitted("plugin-3") > 0;
  }));
  EXPECT_THAT(StopLoad(), IsEmpty());
}

// Before, and from the tenth renewal on, the process is as large.
TEST_P(WrongFilesTest, ManyRenewalsLeaveNothingBehind) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root sees the descriptors of who hides its memory";
  StartServing();
  const auto descriptors = [&] {
    const fs::directory_iterator entries(absl::StrCat("/proc/", plugin().pid(), "/fd"));
    return std::distance(fs::begin(entries), fs::end(entries));
  };
  const auto kilobytes = [&](const std::string& field) {
    int size = 0;
    const std::string text = plugin().ProcStatus(field);
    EXPECT_TRUE(absl::SimpleAtoi(text.substr(0, text.find(' ')), &size)) << text;
    return size;
  };
  const auto renew = [&](int i) {
    if (i % 2 == 0) {
      Write(At("client.pem"), "no certificate");
      Must(Reload(kNotTaken), "a bad pair was taken");
    }
    InstallNew(absl::StrCat("plugin-", i));
    Must(Reload(kTaken), absl::StrCat("renewal ", i, " was not taken"));
    ExpectRoundTrip();
  };
  for (int i = 0; i < 20; ++i) renew(i);
  const auto open = descriptors();
  [[maybe_unused]] const int before = kilobytes("VmRSS");
  for (int i = 20; i < 60; ++i) renew(i);
  EXPECT_TRUE(WaitUntil([&] { return descriptors() <= open; })) << descriptors() << " of " << open;
#ifndef OKMS_SANITIZED  // such a build keeps for a while what was freed
  EXPECT_LT(kilobytes("VmRSS"), before + 1024) << "40 renewals later";
#endif
}

// The folder itself is another one afterwards, which the sandbox lets be read no more.
TEST_P(WrongFilesTest, TheFolderIsGone) {
  StartServing();
  fs::rename(dir_ / "certs", dir_ / "elsewhere");
  ASSERT_TRUE(Reload(absl::StrCat(kNotTaken, "--client-cert ", At("client.pem"),
                                  ": cannot be read: open: No such file or directory")))
      << plugin().Err();
  ExpectRoundTrip();
  fs::rename(dir_ / "elsewhere", dir_ / "certs");
  InstallNew("plugin-2");
  ASSERT_TRUE(Reload(kTaken)) << plugin().Err();
  ExpectNewConnectionsAs("plugin-2", "plugin");
}

}  // namespace
}  // namespace okms::test
