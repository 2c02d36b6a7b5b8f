// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What it says, how it ends, and what is written about it.

#include "conformance/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "conformance/kit.h"
#include "conformance/run.h"
#include "integration/unix_socket.h"
#include "support/status_is.h"
#include "support/temp_dir.h"

namespace okms::test {
namespace {

using conformance::AllCases;
using conformance::Case;
using conformance::Outcome;
using conformance::Result;
using conformance::Verdict;
using testing::HasSubstr;
using testing::StartsWith;

const Case kCase{"area.rule", "It is so", "somebody"};

Result Of(Outcome outcome, std::string line = "") {
  return {&kCase, Verdict{outcome, std::move(line)}};
}

TEST(Table, HasOneOfEach) {
  std::set<absl::string_view> seen;
  for (const Case& each : AllCases()) {
    for (const absl::string_view need : each.needs) {
      EXPECT_EQ(seen.count(need), 1U) << each.id << " stands above " << need;
    }
    EXPECT_TRUE(seen.insert(each.id).second) << each.id;
    EXPECT_NE(each.look, nullptr) << each.id;
    // What TAP gives a meaning to, and a table of Markdown.
    for (const absl::string_view text : {each.id, each.rule, each.source}) {
      EXPECT_NE(text, "");
      EXPECT_EQ(text.find_first_of("#|\\\n"), absl::string_view::npos) << text;
    }
  }
}

TEST(Report, IsTap) {
  EXPECT_EQ(conformance::TapHead(2), "TAP version 14\n1..2\n");
  EXPECT_EQ(conformance::TapLine(Of(Outcome::kKept), 1), "ok 1 - area.rule: It is so\n");
  EXPECT_EQ(conformance::TapLine(Of(Outcome::kSkipped, "needs --kms"), 2),
            "ok 2 - area.rule: It is so # SKIP needs --kms\n");
  EXPECT_EQ(conformance::TapLine(Of(Outcome::kUnknown, "it is gone"), 3),
            "ok 3 - area.rule: It is so # SKIP cannot tell: it is gone\n");
  EXPECT_EQ(conformance::TapLine(Of(Outcome::kBroken, "it \"is\"\nnot"), 4),
            "not ok 4 - area.rule: It is so\n"
            "  ---\n"
            "  found: \"it \\\"is\\\"?not\"\n"
            "  source: \"somebody\"\n"
            "  ...\n");
}

TEST(Report, IsJson) {
  const auto json =
      nlohmann::json::parse(conformance::AsJson({Of(Outcome::kBroken, "\xFF is not")}, 1));
  EXPECT_EQ(json["exit_code"], 1);
  EXPECT_EQ(json["cases"][0]["id"], "area.rule");
  EXPECT_EQ(json["cases"][0]["outcome"], "broken");
  EXPECT_EQ(json["cases"][0]["rule"], "It is so");
  EXPECT_EQ(json["cases"][0]["source"], "somebody");
  EXPECT_THAT(json["cases"][0]["line"].get<std::string>(), HasSubstr("is not"));
}

TEST(ExitCode, IsTheWorstThatWasSeen) {
  using conformance::ExitCodeOf;
  EXPECT_EQ(ExitCodeOf({Of(Outcome::kKept), Of(Outcome::kSkipped)}), 0);
  EXPECT_EQ(ExitCodeOf({Of(Outcome::kKept), Of(Outcome::kUnknown)}), 3);
  EXPECT_EQ(ExitCodeOf({Of(Outcome::kUnknown), Of(Outcome::kBroken)}), 1);
  EXPECT_EQ(ExitCodeOf({Of(Outcome::kSkipped)}), 3);  // nothing was looked at
  EXPECT_EQ(ExitCodeOf({}), 3);
}

TEST(CommandLine, SaysWhatIsWrongWithIt) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong{
      {{}, "--socket is required"},
      {{"--socket", "kms.sock"}, "--socket: give /path or @name"},
      {{"--socket", "/s", "--only", "status.nothing"}, "there is no case status.nothing"},
      {{"--socket", "/s", "--kms", "kms"}, "--kms: give --plugin as well"},
      {{"--socket", "/s", "--rotate", "x"}, "--rotate: give --kms as well"},
      {{"--socket", "/s", "--kms-counts"}, "--kms-counts: give --kms as well"},
      {{"--socket", "/s", "--patience", "soon"}, "--patience: give a time such as 30s"},
      {{"--socket", "/s", "-o", "xml"}, "--output: give tap or json"}};
  for (const auto& [arguments, line] : wrong) {
    const KitRun run = RunKit(arguments);
    EXPECT_EQ(run.exit_code, 2) << line;
    EXPECT_THAT(run.err, HasSubstr(line));
    EXPECT_EQ(run.out, "");
  }
}

TEST(CommandLine, CannotTellWhereNobodyIs) {
  TempDir dir;
  const KitRun run = RunKit({"--socket", dir / "none.sock", "--patience", "100ms"});
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_THAT(run.out, StartsWith("Bail out! the plugin at "));
  EXPECT_THAT(run.err, HasSubstr("is not ready"));
}

TEST(CommandLine, SaysInJsonWhyItCannotTell) {
  TempDir dir;
  const KitRun run = RunKit({"--socket", dir / "none.sock", "--patience", "100ms", "-o", "json"});
  EXPECT_EQ(run.exit_code, 3);
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json["exit_code"], 3);
  EXPECT_EQ(json["cases"], nlohmann::json::array());
  EXPECT_THAT(json["error"].get<std::string>(), HasSubstr("is not ready"));
}

TEST(CommandLine, CannotTellWhereThePluginEnds) {
  TempDir dir;
  const KitRun run = RunKit({"--socket", dir / "none.sock", "--plugin", "sh -c 'exit 7'"});
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_THAT(run.err, HasSubstr("it ended: exit status 7"));
}

std::string Page() {
  std::ifstream file(OKMS_CONFORMANCE_PAGE);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Documentation, HasTheTableOfTheProgram) {
  const std::string page = Page();
  const KitRun run = RunKit({"--list", "-o", "json"});
  EXPECT_EQ(run.exit_code, 0);
  std::size_t rows = 0;
  for (const auto& each : nlohmann::json::parse(run.out)) {
    const std::string needs = each["needs"];
    const std::string row = absl::StrCat(
        "| `", each["id"].get<std::string>(), "` | ", each["rule"].get<std::string>(), " | ",
        each["source"].get<std::string>(), " | ", needs.empty() ? "" : "`" + needs + "` ", "|\n");
    EXPECT_THAT(page, HasSubstr(row));
    ++rows;
  }
  EXPECT_EQ(rows, AllCases().size());
  std::istringstream lines(page);
  std::size_t found = 0;
  for (std::string line; std::getline(lines, line);) found += line.rfind("| `", 0) == 0 ? 1U : 0U;
  EXPECT_EQ(found, rows);
}

TEST(List, NamesEachCase) {
  const KitRun run = RunKit({"--list"});
  EXPECT_EQ(run.exit_code, 0);
  for (const Case& each : AllCases()) {
    EXPECT_THAT(run.out, HasSubstr(absl::StrCat(each.id, " ")));
    EXPECT_THAT(run.out, HasSubstr(std::string(each.source)));
  }
}

}  // namespace
}  // namespace okms::test
