// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Certificates that change while the plugin runs, inside its sandbox.

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "integration/rest_plugin_test.h"
#include "integration/unix_socket.h"

namespace okms::test {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr uid_t kUser = 47123;
constexpr char kTaken[] = "info: certificates read again: ";
constexpr char kNotTaken[] = "warning: certificates on disk are not taken: ";
constexpr char kSame[] = "info: certificates on disk are those in use";

enum class Speaks { kKmip, kRest };

// The files are those of the user that the plugin becomes. The KMS tells clients apart by the names
// in their certificates; the first is "plugin".
class ReloadTest : public RestPluginTest, public testing::WithParamInterface<Speaks> {
 protected:
  ReloadTest() {
    if (GetParam() == Speaks::kKmip) UseKmip();
    if (::geteuid() == 0) {
      flags_["--user"] = absl::StrCat(kUser, ":", kUser);
      ::chmod(dir_.path().c_str(), 0755);
    }
    fs::create_directory(dir_ / "certs");
    Install(client_pair_);
    Put(pki_.ca(), "ca.pem");
    flags_["--client-cert"] = At("client.pem");
    flags_["--client-key"] = At("client.key");
    flags_["--ca"] = At("ca.pem");
  }
  ~ReloadTest() override { StopLoad(); }

  void StartEither() {
    if (GetParam() == Speaks::kKmip) {
      StartKms();
    } else {
      StartOkms();
    }
  }
  void StartServing() {
    StartEither();
    StartReady();
    ExpectRoundTrip();
  }
  void DropConnections() {
    if (GetParam() == Speaks::kKmip) {
      kms().DropConnections();
    } else {
      okms().DropConnections();
    }
  }

  std::string At(const std::string& name) const { return dir_ / ("certs/" + name); }
  // In one step, as of another file.
  void Put(const std::string& from, const std::string& name) const {
    const std::string next = At(name + ".next");
    fs::copy_file(from, next, fs::copy_options::overwrite_existing);
    Own(next);
    fs::rename(next, At(name));
  }
  static void Own(const std::string& path) {
    if (::geteuid() == 0) Must(::chown(path.c_str(), kUser, kUser) == 0, "chown");
  }
  void Install(const KeyPairFiles& pair) const {
    Put(pair.certificate, "client.pem");
    Put(pair.key, "client.key");
  }
  KeyPairFiles Issue(CertificateRequest request) {
    return Must(pki_.Issue("next", std::move(request)));
  }
  void InstallNew(const std::string& name) { Install(Issue({.common_name = name})); }

  int Lines(const std::string& part) {
    int count = 0;
    for (const std::string& line : plugin().ErrLines()) count += absl::StrContains(line, part);
    return count;
  }
  // Sends SIGHUP; whether one more line with this in it comes of it.
  bool Reload(const std::string& part) {
    const int before = Lines(part);
    plugin().Signal(SIGHUP);
    return WaitUntil([&] { return Lines(part) > before; });
  }
  // Whether new connections are made as `name`, and as nobody else.
  void ExpectNewConnectionsAs(const std::string& name, const std::string& before) {
    DropConnections();
    const int old = clients_.Admitted(before);
    const int now = clients_.Admitted(name);
    EXPECT_TRUE(WaitUntil([&] { return client().Status().ok(); }));
    ExpectRoundTrip();
    EXPECT_GT(clients_.Admitted(name), now);
    EXPECT_EQ(clients_.Admitted(before), old);
  }

  // Calls without pause; what fails is kept.
  void StartLoad() {
    plaintext_ = NewPlaintext();
    for (int i = 0; i < 4; ++i) {
      threads_.emplace_back([this] {
        KmsClient client(socket(), {.timeout = std::chrono::seconds(10)});
        while (!stop_) {
          const auto record = client.Encrypt(plaintext_);
          absl::Status status = record.status();
          if (record.ok()) status = client.Decrypt(*record).status();
          ++calls_;
          if (status.ok()) continue;
          const std::lock_guard lock(mutex_);
          failures_.push_back(status.ToString());
        }
      });
    }
  }
  std::vector<std::string> StopLoad() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return failures_;
  }
  bool MoreCalls() {
    const int enough = calls_ + 20;
    return WaitUntil([&] { return calls_ >= enough; });
  }

 private:
  std::string plaintext_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> calls_ = 0;
  std::mutex mutex_;  // guards failures_
  std::vector<std::string> failures_;
  std::vector<std::thread> threads_;
};
INSTANTIATE_TEST_SUITE_P(, ReloadTest, testing::Values(Speaks::kKmip, Speaks::kRest),
                         [](const auto& test) {
                           return test.param == Speaks::kKmip ? "Kmip" : "Rest";
                         });

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
  EXPECT_THAT(AwaitStatus(Code::kUnauthenticated, std::chrono::seconds(45)),
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
  if (GetParam() == Speaks::kKmip) {
    SetFault("hang");
  } else {
    SetRestFault("hang");
  }
  InstallNew("plugin-2");
  plugin().Signal(SIGHUP);
  ASSERT_TRUE(WaitUntil([&] { return clients_.Admitted("plugin-2") > 0; }));
  const Deadline begin = Clock::now();
  EXPECT_EQ(StopPlugin(), 0);
  EXPECT_LT(Clock::now() - begin, kPatience);
}

TEST_P(ReloadTest, TheNewestWins) {
  StartServing();
  if (GetParam() == Speaks::kKmip) {
    SetFault("hang");
  } else {
    SetRestFault("hang");
  }
  InstallNew("plugin-2");
  plugin().Signal(SIGHUP);
  ASSERT_TRUE(WaitUntil([&] { return clients_.Admitted("plugin-2") > 0; }));
  if (GetParam() == Speaks::kKmip) {
    ClearFault();
  } else {
    ClearRestFault();
  }
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

// ---- What is not taken

void Write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}
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
INSTANTIATE_TEST_SUITE_P(, WrongFilesTest, testing::Values(Speaks::kKmip, Speaks::kRest),
                         [](const auto& test) {
                           return test.param == Speaks::kKmip ? "Kmip" : "Rest";
                         });

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
