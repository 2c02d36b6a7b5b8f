// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/plan.h"

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "audit/findings.h"
#include "audit/resource.h"
#include "audit/rewrite.h"
#include "base/status.h"
#include "core/key_id_hash.h"

namespace okms::audit {
namespace {

constexpr std::size_t kShownKeyId = 100;
constexpr std::size_t kShownKeys = 3;

// Of one standing, what is not under the target.
struct Rest {
  std::uint64_t objects = 0;
  std::int64_t newest = 0;
  std::string last;  // the resource of the newest

  void Add(const Group& group, const Count& count) {
    objects += count.objects;
    if (count.newest < newest) return;
    newest = count.newest;
    last = group.resource;
  }
};

class Planner {
 public:
  Planner(const Survey& survey, const PlanInput& input)
      : survey_(survey), input_(input), concerned_(MustBeEncrypted(survey.tally)) {}

  Plan Make() && {
    Target();
    if (plan_.target.empty()) {
      Conclude(Step::kNoTarget,
               "nothing live is under KMS v2, so there is no key to come to: name one with "
               "--fail-unless-key");
      return std::move(plan_);
    }
    for (const auto& [group, count] : survey_.tally.groups()) Look(group, count);
    Conclude();
    When();
    Notes();
    return std::move(plan_);
  }

 private:
  bool IsTarget(absl::string_view key_id) const {
    return key_id == plan_.target || KeyIdHash(key_id) == plan_.target;
  }
  std::string TargetHash() const {
    return absl::StartsWith(plan_.target, "sha256:") ? plan_.target : KeyIdHash(plan_.target);
  }

  void Target() {
    plan_.target = input_.target;
    plan_.origin = input_.origin;
    if (!plan_.target.empty()) return;
    std::int64_t newest = 0;
    for (const auto& [group, count] : survey_.tally.groups()) {
      if (group.standing != Standing::kLive || group.kind != Kind::kKmsV2) continue;
      if (count.newest < newest) continue;
      newest = count.newest;
      plan_.target = group.key_id;
    }
    plan_.origin = absl::StrCat("the one that was written last, at revision ", newest);
  }

  void Look(const Group& group, const Count& count) {
    if (group.kind == Kind::kKmsV2 && IsTarget(group.key_id)) {
      if (group.standing == Standing::kLive) under_target_ = std::max(under_target_, count.newest);
      return;
    }
    if (IsEncrypted(group.kind)) NameKey(group);
    switch (group.standing) {
      case Standing::kOldRevision:
        if (IsEncrypted(group.kind)) old_.Add(group, count);
        return;
      case Standing::kFreedPage:
        if (IsEncrypted(group.kind)) freed_.Add(group, count);
        return;
      case Standing::kLive: break;
    }
    if (concerned_.count(group.resource) == 0) return;
    if (group.kind == Kind::kMalformed || group.kind == Kind::kUnknown) {
      unreadable_ += count.objects;  // nor could kube-apiserver write it again
      return;
    }
    live_.Add(group, count);
    left_[group.resource] += count.objects;
  }

  void NameKey(const Group& group) {
    if (group.kind == Kind::kMalformed) return;
    others_.insert(group.kind == Kind::kKmsV2
                       ? absl::StrCat("key ", Printable(group.key_id, kShownKeyId))
                       : absl::StrCat(ToString(group.kind), " ", group.name));
  }

  std::string ShownTarget() const {
    return absl::StrCat("key ", Printable(plan_.target, kShownKeyId));
  }

  std::string Others() const {
    if (others_.empty()) return absl::StrCat("another key than ", Printable(plan_.target));
    std::vector<std::string> names(others_.begin(), others_.end());
    const std::size_t more = names.size() > kShownKeys ? names.size() - kShownKeys : 0;
    names.resize(names.size() - more);
    return absl::StrCat(absl::StrJoin(names, " or "),
                        more == 0 ? "" : absl::StrCat(" or one of ", more, " more"));
  }

  void Conclude(Step step, std::string verdict) {
    plan_.step = step;
    plan_.verdict = std::move(verdict);
  }

  // One that has not heard of the target, by its metrics.
  const Apiserver* Behind() const {
    for (const Apiserver& apiserver : input_.apiservers) {
      const bool has =
          std::any_of(apiserver.keys.begin(), apiserver.keys.end(), [&](const auto& provider) {
            const std::string& hash = provider.second.first;
            return hash == TargetHash();
          });
      if (!has) return &apiserver;
    }
    return nullptr;
  }

  void Conclude() {
    if (survey_.tally.uncounted() > 0) {
      return Conclude(Step::kCannotTell, absl::StrCat("cannot tell: ", survey_.tally.uncounted(),
                                                      " values were not counted; read a part "
                                                      "with --prefix"));
    }
    if (const Apiserver* const behind = Behind()) {
      return Conclude(Step::kWait,
                      absl::StrCat("not yet: the kube-apiserver of ", Printable(behind->name),
                                   " had not heard of ", ShownTarget(), "; its last is ",
                                   Printable(behind->keys.begin()->second.first)));
    }
    if (live_.objects > 0) return ConcludeOfLive();
    if (unreadable_ > 0) {
      return Conclude(
          Step::kCannotTell,
          absl::StrCat("nothing live that can be read needs ", Others(), "; ", unreadable_,
                       unreadable_ == 1 ? " value" : " values", " cannot, whatever they need"));
    }
    ConcludeOfThePast();
  }

  void ConcludeOfLive() {
    if (live_.newest >= under_target_) {
      return Conclude(Step::kWait, absl::StrCat("not yet: what was written last, of ", live_.last,
                                                " at revision ", live_.newest, ", is not under ",
                                                ShownTarget()));
    }
    const Between written = survey_.calendar.When(live_.newest);
    const std::string before = written.to ? absl::FormatTime(" (before %Y-%m-%d %H:%M UTC)",
                                                             *written.to, absl::UTCTimeZone())
                                          : "";
    Conclude(Step::kRewrite,
             absl::StrCat("all written since revision ", live_.newest, before, " is under ",
                          ShownTarget(), ": migrate the rest (", live_.objects,
                          live_.objects == 1 ? " object)" : " objects)"));
    for (const auto& [resource, objects] : left_) {
      plan_.rewrites.push_back(RewriteOf(resource, objects, TargetHash(), input_.kubernetes));
    }
  }

  void ConcludeOfThePast() {
    if (!survey_.scope.history) {
      return Conclude(Step::kReadHistory, absl::StrCat("nothing live needs ", Others(),
                                                       "; old revisions were not read "
                                                       "(--history)"));
    }
    if (old_.objects + freed_.objects > 0) {
      std::vector<std::string> needing;
      if (old_.objects > 0) {
        needing.push_back(absl::StrCat("revisions before ", old_.newest + 1));
      }
      if (freed_.objects > 0) needing.emplace_back("freed pages");
      needing.emplace_back("snapshots of then");
      return Conclude(Step::kCompact, absl::StrCat("nothing live needs ", Others(), "; ",
                                                   absl::StrJoin(needing, " and "), " do"));
    }
    if (RootOf(survey_.scope.prefix) != survey_.scope.prefix) {
      return Conclude(Step::kReadTheRest,
                      absl::StrCat("nothing below ", Printable(survey_.scope.prefix), " needs ",
                                   Others(), "; the rest was not read"));
    }
    if (!input_.freed_pages) {
      return Conclude(Step::kLookAtFreed,
                      absl::StrCat("nothing live and no old revision needs ", Others(),
                                   "; freed pages were not read (--snapshot)"));
    }
    Conclude(Step::kOthersUnneeded, absl::StrCat("any key but ", Printable(plan_.target),
                                                 " may be destroyed, as far as this file goes"));
  }

  void When() {
    if (plan_.rewrites.empty() && plan_.step != Step::kWait) return;
    if (input_.apiservers.empty()) {
      plan_.when =
          "20 s after the last plugin has the key where /readyz of each kube-apiserver is probed, "
          "60 s where it is not";
    } else if (plan_.step == Step::kWait) {
      plan_.when = "once the metrics of each kube-apiserver, saved anew, have the key";
    } else {
      plan_.when = absl::StrCat("now, if there is no kube-apiserver but the ",
                                input_.apiservers.size(), " whose metrics were given");
    }
  }

  void Notes() {
    std::vector<std::string>& notes = plan_.notes;
    switch (plan_.step) {
      case Step::kWait:
        notes.emplace_back("what is rewritten too early, another kube-apiserver writes back");
        notes.emplace_back("once they have the key, write one object, and audit again");
        break;
      case Step::kRewrite:
        notes.emplace_back("repeat each line until there is no Conflict; then audit again");
        notes.emplace_back("a StorageVersionMigration that has succeeded proves nothing");
        break;
      case Step::kCompact:
        if (old_.objects > 0) {
          notes.emplace_back(
              "kube-apiserver has etcd compact what is older than 5 minutes, unless it is told "
              "otherwise; then audit again");
        }
        if (freed_.objects > 0) {
          notes.emplace_back("after that, etcdctl defrag of each member, and audit a new snapshot");
        }
        break;
      default: break;
    }
    if (unreadable_ > 0) {
      notes.push_back(absl::StrCat(unreadable_, unreadable_ == 1 ? " value" : " values",
                                   " cannot be read and are in no step"));
    }
    notes.emplace_back(
        "snapshots and backups elsewhere are not known here: each needs the keys of its time");
  }

  const Survey& survey_;
  const PlanInput& input_;
  const std::set<std::string> concerned_;
  Plan plan_;
  std::int64_t under_target_ = 0;  // the newest revision, live
  std::uint64_t unreadable_ = 0;
  Rest live_;
  Rest old_;
  Rest freed_;
  std::map<std::string, std::uint64_t> left_;  // by resource
  std::set<std::string> others_;
};

}  // namespace

Plan MakePlan(const Survey& survey, const PlanInput& input) {
  return Planner(survey, input).Make();
}

}  // namespace okms::audit
