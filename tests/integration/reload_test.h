// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A plugin whose files change while it runs, inside its sandbox.

#ifndef OKMS_TESTS_INTEGRATION_RELOAD_TEST_H_
#define OKMS_TESTS_INTEGRATION_RELOAD_TEST_H_

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "integration/rest_plugin_test.h"
#include "integration/steady_load.h"

namespace okms::test {

namespace fs = std::filesystem;

inline constexpr uid_t kReloadUser = 47123;  // whom root has it become

// How lines of the log begin.
inline constexpr char kTaken[] = "info: certificates read again: ";
inline constexpr char kNotTaken[] = "warning: certificates on disk are not taken: ";
inline constexpr char kSame[] = "info: certificates on disk are those in use";

enum class Speaks { kKmip, kRest };
inline std::string NameOf(const testing::TestParamInfo<Speaks>& test) {
  return test.param == Speaks::kKmip ? "Kmip" : "Rest";
}

inline void Write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}

// The files are those of the user that the plugin becomes. The KMS tells clients apart by the names
// in their certificates; the first is "plugin".
class ReloadTest : public RestPluginTest, public testing::WithParamInterface<Speaks> {
 protected:
  ReloadTest() {
    if (GetParam() == Speaks::kKmip) UseKmip();
    if (::geteuid() == 0) {
      flags_["--user"] = absl::StrCat(kReloadUser, ":", kReloadUser);
      ::chmod(dir_.path().c_str(), 0755);
    }
    fs::create_directory(dir_ / "certs");
    Install(client_pair_);
    Put(pki_.ca(), "ca.pem");
    flags_["--client-cert"] = At("client.pem");
    flags_["--client-key"] = At("client.key");
    flags_["--ca"] = At("ca.pem");
  }

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
  void Hang() {
    if (GetParam() == Speaks::kKmip) {
      SetFault("hang");
    } else {
      SetRestFault("hang");
    }
  }
  void AnswerAgain() {
    if (GetParam() == Speaks::kKmip) {
      ClearFault();
    } else {
      ClearRestFault();
    }
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
    if (::geteuid() == 0) Must(::chown(path.c_str(), kReloadUser, kReloadUser) == 0, "chown");
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

  void StartLoad() {
    load_.Start(4, NewPlaintext(),
                [this] { return NewClient({.timeout = std::chrono::seconds(10)}); });
  }
  std::vector<std::string> StopLoad() {
    load_.Stop();
    return load_.Failures();
  }
  bool MoreCalls() { return load_.AllServed(5); }

 private:
  SteadyLoad load_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_INTEGRATION_RELOAD_TEST_H_
