// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Runs okms-kms-conformance, for what it says.

#ifndef OKMS_TESTS_CONFORMANCE_KIT_H_
#define OKMS_TESTS_CONFORMANCE_KIT_H_

#include <chrono>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "integration/child_process.h"

namespace okms::test {

struct KitRun {
  std::optional<int> exit_code;
  std::string out;
  std::string err;
};

inline KitRun RunKit(const std::vector<std::string>& arguments) {
  ChildOptions options{.argv = {OKMS_CONFORMANCE_PROGRAM}};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  // It looks for programs, and as root the plugin becomes another user.
  options.environment = {absl::StrCat("PATH=", std::getenv("PATH"))};
  const auto kit = Must(ChildProcess::Start(options));
  const std::optional<int> exit_code = kit->Wait(std::chrono::seconds(110));
  return {exit_code, kit->Out(), kit->Err()};
}

struct KitSaid {
  std::optional<int> exit_code;
  std::map<std::string, std::string> outcomes;  // by id
  std::map<std::string, std::string> lines;
  std::string text;  // all that was written
};

// The same with -o json.
inline KitSaid AskKit(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"-o", "json"});
  const KitRun run = RunKit(arguments);
  KitSaid said{run.exit_code, {}, {}, run.out + run.err};
  const auto json = nlohmann::json::parse(run.out, nullptr, /*allow_exceptions=*/false);
  Must(json.is_object(), "no JSON: " + said.text);
  for (const auto& each : json["cases"]) {
    said.outcomes[each["id"]] = each["outcome"];
    said.lines[each["id"]] = each.value("line", "");
  }
  return said;
}

}  // namespace okms::test

#endif  // OKMS_TESTS_CONFORMANCE_KIT_H_
