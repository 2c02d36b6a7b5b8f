// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The real plugin, in its sandbox, over both protocols, with the mock KMS as a program of its own.

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "conformance/case.h"
#include "conformance/kit.h"
#include "integration/rest_plugin_test.h"

namespace okms::test {
namespace {

namespace fs = std::filesystem;

class RealPlugin : public RestPluginTest {
 protected:
  RealPlugin() {
    fs::permissions(dir_.path(), fs::perms(0711));
    // Where the mock looks for them; the plugin has those of the test, of the same CA.
    fs::create_directory(dir_ / "pki");
    fs::copy(pki_.ca(), dir_ / "pki/ca.pem");
    fs::copy(server_pair_.certificate, dir_ / "pki/server.pem");
    fs::copy(server_pair_.key, dir_ / "pki/server.key");
    std::ofstream(dir_ / "keys") << "id=" << kKeyId << ",material=" << std::string(64, '1')
                                 << "\nid=" << kOtherKeyId << ",material=" << std::string(64, '2')
                                 << "\n";
    std::ofstream(dir_ / "key-id") << kKeyId << "\n";
    fs::permissions(dir_ / "key-id", fs::perms(0644));
    flags_.erase("--encryption-key-id");
    flags_["--encryption-key-id-file"] = dir_ / "key-id";
  }

  KitSaid Ask(const std::vector<std::string>& more) {
    // As root it becomes another user: see ChildProcess.
    const std::string as_user = ::geteuid() == 0 ? "env OKMS_USER=47000:47000 " : "";
    const bool rest = flags_["--protocol"] == "rest";
    std::vector<std::string> arguments{
        "--socket",
        socket(),
        "--plugin",
        absl::StrCat(as_user, absl::StrJoin(Argv(), " ")),
        "--kms",
        absl::StrCat(OKMS_MOCK_KMS, " --pki ", dir_ / "pki", " --keys ", dir_ / "keys",
                     rest ? " --rest-port " : " --port ", port()),
        "--kms-counts"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return AskKit(arguments);
  }

  static void ExpectAllKept(const KitSaid& said, const std::vector<std::string>& skipped = {}) {
    EXPECT_EQ(said.exit_code, 0) << said.text;
    EXPECT_EQ(said.outcomes.size(), conformance::AllCases().size());
    for (const auto& [id, outcome] : said.outcomes) {
      const bool may_be = std::count(skipped.begin(), skipped.end(), id) > 0;
      EXPECT_EQ(outcome, may_be ? "skipped" : "kept") << id << ": " << said.lines.at(id);
    }
  }
};

TEST_F(RealPlugin, KeepsTheContractOverKmip) {
  UseKmip();
  flags_.erase("--encryption-key-id");
  // In place at once, as whoever puts a file in place should.
  ExpectAllKept(Ask({"--rotate", absl::StrCat("cd ", dir_.path(), " && echo ", kOtherKeyId,
                                              " > new && chmod 644 new && mv new key-id && ",
                                              "kill -HUP $PLUGIN_PID")}));
}

TEST_F(RealPlugin, KeepsTheContractOverRest) {
  ExpectAllKept(Ask({}), {"key.rotated", "key.old-records"});
}

}  // namespace
}  // namespace okms::test
