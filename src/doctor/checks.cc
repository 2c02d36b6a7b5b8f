// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/checks.h"

#include <algorithm>
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
    if (Finding* const blocker = BlockerOf(check, about)) {
      blocker->blocks.emplace_back(check.id);
      Verdict verdict{Outcome::kSkipped, Blocker(*blocker, about), ""};
      skipped_.push_back({findings_.size(), static_cast<std::size_t>(blocker - &findings_[0])});
      findings_.push_back({std::string(check.id), about, std::move(verdict)});
      return;
    }
    if (check.each != nullptr && endpoint == nullptr) return;
    for (Verdict& verdict :
         check.once != nullptr ? check.once(all_) : check.each(all_, *endpoint)) {
      findings_.push_back({std::string(check.id), about, std::move(verdict)});
    }
  }

  std::vector<Finding> Take() { return std::move(findings_); }

 private:
  // What is behind a skipped one is what it was skipped for: to mend that is what helps.
  std::size_t RootOf(std::size_t index) const {
    const auto skip = std::find_if(skipped_.begin(), skipped_.end(),
                                   [&](const auto& pair) { return pair.first == index; });
    return skip == skipped_.end() ? index : skip->second;
  }

  Finding* BlockerOf(const Check& check, absl::string_view about) {
    for (const absl::string_view need : check.needs) {
      for (std::size_t i = 0; i < findings_.size(); ++i) {
        const Finding& finding = findings_[i];
        const bool same = finding.about.empty() || about.empty() || finding.about == about;
        if (finding.id == need && same && !IsGood(finding)) return &findings_[RootOf(i)];
      }
    }
    return nullptr;
  }

  Examination& all_;
  std::vector<Finding> findings_;
  std::vector<std::pair<std::size_t, std::size_t>> skipped_;  // and what for
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
