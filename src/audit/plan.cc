// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/plan.h"

#include <algorithm>
#include <cstddef>
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
constexpr std::size_t kShown = 3;

// What was written last, and of which resource.
using Last = std::pair<std::int64_t, std::string>;

// "a, b, c, 2 more"
std::string FirstOf(const std::set<std::string>& all, absl::string_view separator) {
  std::vector<std::string> names(all.begin(), all.end());
  const std::size_t more = names.size() > kShown ? names.size() - kShown : 0;
  names.resize(names.size() - more);
  if (more > 0) names.push_back(absl::StrCat(more, " more"));
  return absl::StrJoin(names, separator);
}

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
    for (const auto& [group, count] : survey_.tally.groups()) LookForTarget(group);
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

  void LookForTarget(const Group& group) {
    if (group.standing != Standing::kLive || group.kind != Kind::kKmsV2) return;
    if (!IsTarget(group.key_id)) return;
    providers_.insert(group.name);
    resources_.insert(group.resource);
  }

  void Look(const Group& group, const Count& count) {
    // Another provider may have another key of that id.
    if (group.kind == Kind::kKmsV2 && IsTarget(group.key_id) && providers_.count(group.name) > 0) {
      under_target_ = std::max(under_target_, count.newest);
      return;
    }
    if (IsEncrypted(group.kind)) NameKey(group);
    if (group.standing != Standing::kLive) {
      if (!IsEncrypted(group.kind)) return;
      (group.standing == Standing::kOldRevision ? old_ : freed_) += count.objects;
      AddLast({count.newest, group.resource});
      return;
    }
    if (concerned_.count(group.resource) == 0) return;
    if (group.kind == Kind::kMalformed || group.kind == Kind::kUnknown) {
      unreadable_ += count.objects;  // nor could kube-apiserver write it again
      return;
    }
    live_ += count.objects;
    left_[group.resource] += count.objects;
    AddLast({count.newest, group.resource});
  }

  void AddLast(const Last& last) {
    last_ = std::max(last_, last);
    if (resources_.count(last.second) > 0) last_beside_ = std::max(last_beside_, last);
  }

  void NameKey(const Group& group) {
    if (group.kind == Kind::kMalformed) return;
    if (group.kind != Kind::kKmsV2) {
      others_.insert(absl::StrCat(ToString(group.kind), " ", group.name));
      return;
    }
    others_.insert(absl::StrCat("key ", Printable(group.key_id, kShownKeyId),
                                IsTarget(group.key_id) ? " of " + group.name : ""));
  }

  std::string ShownTarget() const {
    return absl::StrCat("key ", Printable(plan_.target, kShownKeyId));
  }

  std::string Others() const {
    if (others_.empty()) return absl::StrCat("another key than ", Printable(plan_.target));
    return FirstOf(others_, " or ");
  }

  bool IsNarrow() const {
    const std::string& prefix = survey_.scope.prefix;
    return !prefix.empty() && RootOf(prefix) != prefix;
  }
  // " below /registry/secrets/", where a verdict is not of all that there is.
  std::string Below() const {
    if (!IsNarrow() && survey_.extent.elsewhere == 0) return "";
    return absl::StrCat(" below ", Printable(survey_.scope.prefix));
  }

  void Conclude(Step step, std::string verdict) {
    plan_.step = step;
    plan_.verdict = std::move(verdict);
  }

  // What says what one has heard of: the providers that have the target, by whatever names it has
  // them.
  std::vector<std::string> Heard(const Apiserver& apiserver) const {
    std::vector<std::string> all;
    std::vector<std::string> of_target;
    for (const auto& [provider, last] : apiserver.keys) {
      all.push_back(last.first);
      if (providers_.count(provider) > 0) of_target.push_back(last.first);
    }
    return of_target.empty() ? all : of_target;
  }

  // Whether one has not heard of the target, by its metrics.
  bool ConcludeOfApiservers() {
    for (const Apiserver& apiserver : input_.apiservers) {
      const std::vector<std::string> heard = Heard(apiserver);
      if (std::find(heard.begin(), heard.end(), TargetHash()) != heard.end()) continue;
      Conclude(Step::kWait,
               absl::StrCat("not yet: the kube-apiserver of ", Printable(apiserver.name),
                            " had not heard of ", ShownTarget(), "; its last is ",
                            Printable(heard.front())));
      return true;
    }
    return false;
  }

  void Conclude() {
    if (survey_.tally.uncounted() > 0) {
      return Conclude(Step::kCannotTell, absl::StrCat("cannot tell: ", survey_.tally.uncounted(),
                                                      " values were not counted; read a part "
                                                      "with --prefix"));
    }
    if (providers_.size() > 1) {
      return Conclude(Step::kCannotTell,
                      absl::StrCat("cannot tell: ", OfSeveral(plan_.target, providers_),
                                   ", so rewrite what is of the one that is to go"));
    }
    if (ConcludeOfApiservers()) return;
    if (live_ > 0) return ConcludeOfLive();
    if (resources_.empty()) {
      return Conclude(Step::kCannotTell,
                      absl::StrCat("cannot tell: nothing live that was read is "
                                   "under ",
                                   ShownTarget(), ": the right file and --prefix?"));
    }
    if (unreadable_ > 0) {
      return Conclude(Step::kCannotTell,
                      absl::StrCat("nothing live", Below(), " that can be read needs ", Others(),
                                   "; ", unreadable_, unreadable_ == 1 ? " value" : " values",
                                   " cannot, whatever they need"));
    }
    ConcludeOfThePast();
  }

  // A resource that nothing is under the target of may have another provider, for ever: it is not
  // waited for.
  void ConcludeOfLive() {
    const Last& last = resources_.empty() ? last_ : last_beside_;
    if (last.first >= under_target_) {
      return Conclude(Step::kWait,
                      absl::StrCat("not yet: what was written last", Below(), ", of ", last.second,
                                   " at revision ", last.first, ", is not under ", ShownTarget()));
    }
    const bool of_all = last_.first < under_target_;
    const Last& since = of_all ? last_ : last_beside_;
    const std::string whose = of_all ? "" : " of " + FirstOf(resources_, ", ");
    Conclude(Step::kRewrite,
             absl::StrCat("all", whose, Below(), Since(since.first), " is under ", ShownTarget(),
                          ": migrate the rest (", live_, live_ == 1 ? " object)" : " objects)"));
    for (const auto& [resource, objects] : left_) {
      plan_.rewrites.push_back(
          RewriteOf(resource, objects, TargetHash(), survey_.extent.revision, input_.kubernetes));
    }
  }

  std::string Since(std::int64_t revision) const {
    if (revision == 0) return "";
    const Between written = survey_.calendar.When(revision);
    return absl::StrCat(
        " written since revision ", revision,
        written.to ? absl::StrCat(" (before ", MinuteAfter(*written.to), " UTC)") : "");
  }

  void ConcludeOfThePast() {
    if (!survey_.scope.history) {
      return Conclude(Step::kReadHistory, absl::StrCat("nothing live", Below(), " needs ", Others(),
                                                       "; old revisions were not read "
                                                       "(--history)"));
    }
    if (old_ + freed_ > 0) {
      std::vector<std::string> needing;
      if (old_ > 0) needing.emplace_back("old revisions");
      if (freed_ > 0) needing.emplace_back("freed pages");
      needing.emplace_back("snapshots of then");
      return Conclude(Step::kCompact, absl::StrCat("nothing live", Below(), " needs ", Others(),
                                                   "; ", absl::StrJoin(needing, " and "), " do"));
    }
    if (IsNarrow() || survey_.extent.elsewhere > 0) return ConcludeOfAPart();
    if (!input_.freed_pages) {
      return Conclude(Step::kLookAtFreed,
                      absl::StrCat("nothing live and no old revision needs ", Others(),
                                   "; freed pages were not read (--snapshot)"));
    }
    if (!survey_.extent.whole) {
      return Conclude(Step::kCannotTell,
                      "cannot tell: this database lacks what its WAL holds: audit a snapshot "
                      "(etcdctl snapshot save)");
    }
    Conclude(Step::kOthersUnneeded,
             absl::StrCat("nothing in this file needs a key but ", Printable(plan_.target)));
  }

  void ConcludeOfAPart() {
    const std::uint64_t elsewhere = survey_.extent.elsewhere;
    const std::string rest = elsewhere == 0
                                 ? "the rest was not read"
                                 : absl::StrCat(elsewhere,
                                                elsewhere == 1 ? " encrypted value elsewhere was"
                                                               : " encrypted values elsewhere were",
                                                " not read (--prefix '')");
    Conclude(Step::kReadTheRest, absl::StrCat("nothing", Below(), " needs ", Others(), "; ", rest));
  }

  void When() {
    if (plan_.rewrites.empty() && plan_.step != Step::kWait) return;
    if (input_.apiservers.empty()) {
      plan_.when =
          "30 s after the last plugin has the key where /readyz of each kube-apiserver is probed, "
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
        if (last_.first >= under_target_) {
          notes.push_back(absl::StrCat(last_.second,
                                       " were written later, and not under that key: see which "
                                       "provider the EncryptionConfiguration has first for them"));
        }
        notes.emplace_back("repeat each line until there is no Conflict; then audit again");
        notes.emplace_back("a StorageVersionMigration that has succeeded proves nothing");
        break;
      case Step::kCompact:
        if (old_ > 0) {
          notes.emplace_back(
              "kube-apiserver has etcd compact what is older than 5 minutes, unless it is told "
              "otherwise; then audit again");
        }
        if (freed_ > 0) {
          notes.emplace_back("after that, etcdctl defrag of each member, and audit a new snapshot");
        }
        break;
      case Step::kOthersUnneeded:
        if (input_.apiservers.empty()) {
          notes.emplace_back(
              "a kube-apiserver that has not heard of the key still writes under another: give the "
              "metrics of each (--apiserver-metrics)");
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
  std::set<std::string> providers_;  // that have a live value under the target
  std::set<std::string> resources_;  // of which a live value is
  std::int64_t under_target_ = 0;    // the newest revision
  Last last_;                        // not under the target
  Last last_beside_;                 // of those, of resources_
  std::uint64_t unreadable_ = 0;
  std::uint64_t live_ = 0;  // objects that are not under the target; and so on
  std::uint64_t old_ = 0;
  std::uint64_t freed_ = 0;
  std::map<std::string, std::uint64_t> left_;  // by resource
  std::set<std::string> others_;
};

}  // namespace

Plan MakePlan(const Survey& survey, const PlanInput& input) {
  return Planner(survey, input).Make();
}

}  // namespace okms::audit
