// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/checks.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace okms::doctor {
namespace {

bool IsGood(const Finding& finding) {
  return finding.verdict.outcome == Outcome::kPassed ||
         finding.verdict.outcome == Outcome::kWarning;
}

// "client-cert.file, which failed" or "endpoint.connect of kms:5696, which is unknown".
std::string Blocker(const Finding& finding, absl::string_view about) {
  const bool elsewhere = !finding.about.empty() && finding.about != about;
  return absl::StrCat("needs ", finding.id, elsewhere ? absl::StrCat(" of ", finding.about) : "",
                      ", which ",
                      finding.verdict.outcome == Outcome::kFailed ? "failed" : "could not be seen");
}

class Run {
 public:
  explicit Run(Examination& all) : all_(all) {}

  void Do(const Check& check, Endpoint* endpoint) {
    if (check.asked != nullptr && !check.asked(all_)) return;
    const std::string about = endpoint == nullptr ? "" : endpoint->name;
    if (const auto blocker = BlockerOf(check, about)) {
      seen_[*blocker].blocks.insert(&check);
      const Finding& root = seen_[*blocker].finding;
      Add(check, about, {Outcome::kSkipped, Blocker(root, about), ""}, blocker);
      return;
    }
    if (check.each != nullptr && endpoint == nullptr) return;
    for (Verdict& verdict :
         check.once != nullptr ? check.once(all_) : check.each(all_, *endpoint)) {
      Add(check, about, std::move(verdict), std::nullopt);
    }
  }

  std::vector<Finding> Take() {
    std::vector<Finding> findings;
    for (Seen& seen : seen_) {
      for (const Check* const check : seen.blocks) seen.finding.blocks.emplace_back(check->id);
      findings.push_back(std::move(seen.finding));
    }
    return findings;
  }

 private:
  struct Seen {
    Finding finding;
    // By place in the table. A row that was skipped for it, at several hosts perhaps, is in it
    // once.
    std::set<const Check*> blocks;
    std::optional<std::size_t> skipped_for;  // what is behind it: to mend that is what helps
  };

  void Add(const Check& check, const std::string& about, Verdict verdict,
           std::optional<std::size_t> skipped_for) {
    seen_.push_back({{std::string(check.id), about, std::move(verdict)}, {}, skipped_for});
  }

  std::optional<std::size_t> BlockerOf(const Check& check, absl::string_view about) const {
    for (const absl::string_view need : check.needs) {
      for (std::size_t i = 0; i < seen_.size(); ++i) {
        const Finding& finding = seen_[i].finding;
        const bool same = finding.about.empty() || about.empty() || finding.about == about;
        if (finding.id == need && same && !IsGood(finding)) return seen_[i].skipped_for.value_or(i);
      }
    }
    return std::nullopt;
  }

  Examination& all_;
  std::vector<Seen> seen_;
};

}  // namespace

std::vector<Finding> RunChecks(std::span<const Check> checks, Examination& all) {
  Run run(all);
  for (auto check = checks.begin(); check != checks.end();) {
    if (check->once != nullptr) {
      run.Do(*check++, nullptr);
      continue;
    }
    const auto end =
        std::find_if(check, checks.end(), [](const Check& each) { return each.once != nullptr; });
    // Without a configuration there are no hosts; what is blocked by that is to be seen.
    if (all.endpoints.empty())
      std::for_each(check, end, [&](auto& each) { run.Do(each, nullptr); });
    for (Endpoint& endpoint : all.endpoints) {
      std::for_each(check, end, [&](const Check& each) { run.Do(each, &endpoint); });
    }
    check = end;
  }
  return run.Take();
}

}  // namespace okms::doctor
