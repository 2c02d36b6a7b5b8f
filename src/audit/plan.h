// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What to do next with what a survey has seen, until other keys than one are needed by nothing.

#ifndef OKMS_AUDIT_PLAN_H_
#define OKMS_AUDIT_PLAN_H_

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "audit/survey.h"

namespace okms::audit {

// What a kube-apiserver says of itself in its metrics.
struct Apiserver {
  std::string name;  // the file's
  // By provider the hash of the key id that Status gave it last, and when, in seconds since 1970.
  std::map<std::string, std::pair<std::string, double>> keys;
};

// Of its page /metrics. Errors: kInvalidArgument, nothing of KMS v2 is in it.
absl::StatusOr<Apiserver> ReadApiserver(absl::string_view name, absl::string_view metrics);

struct Version {
  int major = 0;
  int minor = 0;

  auto operator<=>(const Version&) const = default;
};

// "1.37", "v1.37.2-rc.1". Errors: kInvalidArgument.
absl::StatusOr<Version> ParseVersion(absl::string_view text);

struct PlanInput {
  std::string target;  // the key id to come to, or its hash; empty: what was written last
  std::string origin;  // who says so: "the plugin's"
  std::optional<Version> kubernetes;
  std::vector<Apiserver> apiservers;  // none: not known
  bool freed_pages = false;           // they were looked at, too
};

enum class Step {
  kNoTarget,        // there is no key to come to
  kCannotTell,      // not all was counted, or can be read
  kWait,            // somebody still writes under another key
  kRewrite,         // live values are left
  kReadHistory,     // nothing live is; old revisions were not looked at
  kCompact,         // old revisions or freed pages are
  kLookAtFreed,     // no old revision is; freed pages were not looked at
  kReadTheRest,     // nothing of the part that was read is
  kOthersUnneeded,  // nothing that was read needs another key
};

// "wait"; for programs.
absl::string_view ToString(Step step);

struct Rewrite {
  std::string resource;
  std::uint64_t objects = 0;
  std::string command;   // in a shell; empty: there is none
  std::string manifest;  // a StorageVersionMigration in its place; empty: there is none
};

struct Plan {
  Step step = Step::kNoTarget;
  std::string verdict;  // one line
  std::string target;
  std::string origin;
  std::vector<Rewrite> rewrites;
  std::string when;                // the earliest time for them
  std::vector<std::string> notes;  // what to do, and what is not known, a line each
};

Plan MakePlan(const Survey& survey, const PlanInput& input);

// The verdict is its first line.
std::string AsText(const Plan& plan);
nlohmann::ordered_json AsJson(const Plan& plan);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_PLAN_H_
