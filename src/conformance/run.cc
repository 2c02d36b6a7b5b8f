// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "conformance/run.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace okms::conformance {
namespace {

constexpr milliseconds kAMoment{500};  // in which who is about to end does so

// Another client of the plugin's, whose connection is to outlive whatever a case does on its own.
class Witness {
 public:
  explicit Witness(const Target& target) {
    auto client = target.NewConnectedClient();
    if (!client.ok()) return;
    client_ = *std::move(client);
    if (Lost(client_->Status().status())) client_.reset();
  }

  // Empty when all is well, or nothing was to be seen.
  std::string Testimony() const {
    if (client_ == nullptr) return "";
    const absl::Status status = client_->Status().status();
    if (!Lost(status)) return "";
    return absl::StrCat("another client's connection was lost: ", Words(status));
  }

 private:
  // Not by an answer of the plugin's: those of one that is whole have been good.
  static bool Lost(const absl::Status& status) {
    return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
  }

  std::unique_ptr<KmsClient> client_;
};

// Those that are named, and what they need.
std::set<absl::string_view> Wanted(std::span<const Case> cases,
                                   const std::vector<std::string>& named) {
  std::set<absl::string_view> wanted;
  // What is needed stands above.
  for (auto each = cases.rbegin(); each != cases.rend(); ++each) {
    const bool is_named = named.empty() || std::count(named.begin(), named.end(), each->id) > 0;
    if (!is_named && wanted.count(each->id) == 0) continue;
    wanted.insert(each->id);
    wanted.insert(each->needs.begin(), each->needs.end());
  }
  return wanted;
}

class Runner {
 public:
  explicit Runner(Target& target) : target_(target) {}

  Verdict Look(const Case& each) {
    Verdict verdict = Judge(each);
    outcomes_[each.id] = verdict.outcome;
    return verdict;
  }

 private:
  Verdict Judge(const Case& each) {
    if (!target_.Has(each.hands)) {
      return {Outcome::kSkipped, absl::StrCat("needs ", ToString(each.hands))};
    }
    for (const absl::string_view need : each.needs) {
      if (outcomes_.at(need) == Outcome::kKept) continue;
      return Unknown(absl::StrCat("needs ", need, ", which is ", ToString(outcomes_.at(need))));
    }
    if (!gone_.empty()) return Unknown(gone_);
    std::optional<Witness> witness;
    if (each.hands == Hands::kNone) witness.emplace(target_);
    Verdict verdict = each.look(target_);
    if (witness && verdict.outcome == Outcome::kKept) {
      std::string testimony = witness->Testimony();
      if (!testimony.empty()) verdict = Broken(std::move(testimony));
    }
    if (verdict.outcome == Outcome::kBroken && target_.plugin().given() &&
        each.hands == Hands::kNone && target_.plugin().Wait(kAMoment)) {
      absl::StrAppend(&verdict.line, "; the plugin has ended: ", target_.plugin().end());
    }
    Mend(verdict);
    return verdict;
  }

  // The next case is to find the plugin whole.
  void Mend(Verdict& verdict) {
    const absl::Status status = target_.Restore();
    // What an answer says is for the cases about answers.
    if (status.ok() || absl::IsInternal(status)) return;
    const std::string words = absl::StrCat("afterwards it is not ready any more: ", Words(status));
    if (verdict.outcome == Outcome::kKept) verdict = Broken(words);
    gone_ = words;
  }

  Target& target_;
  std::map<absl::string_view, Outcome> outcomes_;
  std::string gone_;  // why there is nothing more to look at
};

}  // namespace

std::vector<Result> RunCases(std::span<const Case> cases, const std::vector<std::string>& named,
                             Target& target, const std::function<void(const Result&)>& told) {
  const std::set<absl::string_view> wanted = Wanted(cases, named);
  std::vector<Result> results;
  Runner runner(target);
  for (const Case& each : cases) {
    if (wanted.count(each.id) == 0) continue;
    const Result result{&each, runner.Look(each)};
    if (!named.empty() && std::count(named.begin(), named.end(), each.id) == 0) continue;
    told(result);
    results.push_back(result);
  }
  return results;
}

ExitCode ExitCodeOf(const std::vector<Result>& results) {
  const auto any = [&](Outcome outcome) {
    return std::any_of(results.begin(), results.end(), [outcome](const Result& result) {
      return result.verdict.outcome == outcome;
    });
  };
  if (any(Outcome::kBroken)) return kBreaches;
  return any(Outcome::kUnknown) || !any(Outcome::kKept) ? kCannotTell : kAllKept;
}

}  // namespace okms::conformance
