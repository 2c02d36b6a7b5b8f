// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Each case finds the plugin that breaks its rule, and no case finds anything in one that breaks
// none.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "conformance/case.h"
#include "conformance/kit.h"
#include "support/require.h"
#include "support/temp_dir.h"

namespace okms::test {
namespace {

using conformance::AllCases;

class Conformance : public testing::Test {
 protected:
  Conformance() {
    Must(::chmod(dir_.path().c_str(), 0755) == 0, "chmod");  // for socket.mode
    std::ofstream(dir_ / "key-id") << "key-1\n";
  }

  // Against a plugin that breaks the rule of that case.
  std::vector<std::string> Arguments(const std::string& breach) const {
    return {"--socket",
            dir_ / "plugin.sock",
            "--plugin",
            absl::StrCat(OKMS_WRONG_PLUGIN, " plugin \"$SOCKET\" ", dir_ / "kms.sock ", breach),
            "--kms",
            absl::StrCat(OKMS_WRONG_PLUGIN, " kms ", dir_ / "kms.sock ", dir_ / "key-id"),
            "--kms-counts",
            "--rotate",
            absl::StrCat("echo key-2 > ", dir_ / "new && mv ", dir_ / "new ", dir_ / "key-id")};
  }

  TempDir dir_;
};

TEST_F(Conformance, FindsNothingWhereNothingIsWrong) {
  const KitSaid said = AskKit(Arguments(""));
  EXPECT_EQ(said.exit_code, 0) << said.text;
  EXPECT_EQ(said.outcomes.size(), AllCases().size());
  for (const auto& [id, outcome] : said.outcomes) {
    EXPECT_EQ(outcome, "kept") << id << ": " << said.lines.at(id);
  }
}

TEST_F(Conformance, LooksOnceAtWhatIsNamedTwice) {
  std::vector<std::string> arguments = Arguments("");
  arguments.insert(arguments.end(), {"--only", "status.healthz", "--only", "status.healthz"});
  const KitRun run = RunKit(arguments);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.out,
            "TAP version 14\n1..1\n"
            "ok 1 - status.healthz: healthz is ok, and nothing else\n");
}

// As of one that asks the KMS each time.
TEST_F(Conformance, DoesNotPileUpCallsOfASlowStatus) {
  std::vector<std::string> arguments = Arguments("by-turns");
  arguments.insert(arguments.end(), {"--patience", "2s", "--only", "load.deadlines"});
  const KitSaid said = AskKit(arguments);
  EXPECT_EQ(said.exit_code, 0) << said.text;
}

// Where no mode of a socket's matters: in a build sandbox of Nix's.
bool IsOpenToOthers(const std::filesystem::path& folder) {
  const auto may = std::filesystem::status(folder).permissions();
  return (may & std::filesystem::perms::others_exec) != std::filesystem::perms::none &&
         (folder == folder.root_path() || IsOpenToOthers(folder.parent_path()));
}

class Breach : public Conformance, public testing::WithParamInterface<std::string> {};

TEST_P(Breach, IsFound) {
  const std::string& id = GetParam();
  if (id == "socket.mode") {
    OKMS_REQUIRE_OR_SKIP(IsOpenToOthers(std::filesystem::temp_directory_path()),
                         "the temporary folder is closed to others");
  }
  std::vector<std::string> arguments = Arguments(id);
  arguments.insert(arguments.end(), {"--patience", "2s", "--only", id});
  const KitSaid said = AskKit(arguments);
  EXPECT_EQ(said.exit_code, 1) << said.text;
  EXPECT_EQ(said.outcomes, (std::map<std::string, std::string>{{id, "broken"}}));
  EXPECT_NE(said.lines.at(id), "");
}

std::vector<std::string> AllIds() {
  std::vector<std::string> ids;
  for (const auto& each : AllCases()) ids.emplace_back(each.id);
  return ids;
}

INSTANTIATE_TEST_SUITE_P(Each, Breach, testing::ValuesIn(AllIds()), [](const auto& breach) {
  return absl::StrReplaceAll(breach.param, {{".", "_"}, {"-", "_"}});
});

}  // namespace
}  // namespace okms::test
