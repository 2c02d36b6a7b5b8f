// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/findings.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "core/key_id_hash.h"

namespace okms::audit {
namespace {

std::string Minute(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M", time, absl::UTCTimeZone());
}

constexpr std::size_t kShownKeyId = 100;

// Several groups that one line is about.
struct Several {
  std::vector<std::string> values;  // "12 secrets"
  std::vector<std::string> objects;
  std::int64_t oldest = 0;

  void Add(const Group& group, const Count& count) {
    values.push_back(Values(group.standing, count.objects, group.resource));
    for (const std::string& object : count.first) {
      if (objects.size() < Tally::kMostNames) objects.push_back(object);
    }
    oldest = oldest == 0 ? count.oldest : std::min(oldest, count.oldest);
  }
};

class Finder {
 public:
  Finder(const Survey& survey, const Demands& demands)
      : survey_(survey),
        demands_(demands),
        must_be_encrypted_(MustBeEncrypted(survey.tally)),
        no_plaintext_of_(demands.no_plaintext_of.empty() ? must_be_encrypted_ : Named()) {}

  std::vector<Finding> All() && {
    Nothing();
    PlainText();
    Unreadable();
    Keys();
    Providers();
    OtherProviders();
    ColdStart();
    Limits();
    std::stable_partition(found_.begin(), found_.end(),
                          [](const Finding& finding) { return finding.wrong; });
    return std::move(found_);
  }

 private:
  const std::map<Group, Count>& groups() const { return survey_.tally.groups(); }

  void Say(std::string id, bool wrong, std::string line, std::vector<std::string> objects = {}) {
    found_.push_back({std::move(id), wrong, std::move(line), std::move(objects)});
  }

  std::string WrittenAt(std::int64_t oldest) const {
    return Written(survey_.calendar.When(oldest));
  }

  // What --fail-on-plaintext names, as etcd has it: what Kubernetes has by itself mostly has no
  // group there.
  std::set<std::string> Named() const {
    std::set<std::string> seen;
    for (const auto& [group, count] : groups()) seen.insert(group.resource);
    std::set<std::string> named;
    for (const std::string& resource : demands_.no_plaintext_of) {
      const std::size_t dot = resource.find('.');
      const std::string group = dot == std::string::npos ? "" : resource.substr(dot + 1);
      const bool built_in =
          !group.empty() && (!absl::StrContains(group, '.') || absl::EndsWith(group, ".k8s.io"));
      const bool alone =
          seen.count(resource) == 0 && built_in && seen.count(resource.substr(0, dot)) > 0;
      named.insert(alone ? resource.substr(0, dot) : resource);
    }
    return named;
  }

  void Nothing() {
    if (survey_.tally.values() > 0) return;
    const std::string& prefix = survey_.scope.prefix;
    Say("nothing-read", demands_.no_plaintext || !demands_.key.empty(),
        absl::StrCat("there is nothing", prefix.empty() ? "" : " below ", Printable(prefix),
                     ": the right ", prefix.empty() ? "file?" : "file and --prefix?"));
  }

  void PlainText() {
    std::map<std::pair<std::string, Standing>, std::pair<std::uint64_t, Several>> plain;
    std::set<std::string> seen;
    for (const auto& [group, count] : groups()) {
      seen.insert(group.resource);
      if (!IsPlain(group.kind)) continue;
      if (no_plaintext_of_.count(group.resource) + must_be_encrypted_.count(group.resource) == 0)
        continue;
      auto& [sum, several] = plain[{group.resource, group.standing}];
      sum += count.objects;
      several.Add(group, count);
    }
    for (const auto& [what, those] : plain) {
      const auto& [resource, standing] = what;
      const bool wrong = demands_.no_plaintext && no_plaintext_of_.count(resource) > 0;
      Say("plaintext", wrong,
          absl::StrCat(Values(standing, those.first, resource), those.first == 1 ? " is" : " are",
                       " in plain text", WrittenAt(those.second.oldest)),
          those.second.objects);
    }
    if (!demands_.no_plaintext) return;
    if (demands_.no_plaintext_of.empty()) return;
    for (const std::string& resource : no_plaintext_of_) {
      if (seen.count(resource) > 0) continue;
      Say("not-seen", true, absl::StrCat("there are no ", Printable(resource)));
    }
  }

  void Unreadable() {
    for (const auto& [group, count] : groups()) {
      const std::string values = Values(group.standing, count.objects, group.resource);
      const bool concerns = must_be_encrypted_.count(group.resource) > 0;
      switch (group.kind) {
        case Kind::kMalformed:
          Say("malformed", true,
              absl::StrCat(values, " cannot be read by anybody: after ", group.name, " ",
                           group.wrong),
              count.first);
          break;
        case Kind::kUnknown:
          Say("unknown", concerns,
              absl::StrCat(values, " of a form that kube-apiserver does not write: it begins with ",
                           group.name),
              count.first);
          break;
        case Kind::kUnknownProvider:
          Say("unknown-provider", !demands_.key.empty(),
              absl::StrCat(values, " encrypted by a provider that is not known here: ", group.name),
              count.first);
          break;
        default: break;
      }
    }
  }

  // What was written last is under the one in use.
  std::string KeyInUse() const {
    std::pair<std::int64_t, std::string> last;
    for (const auto& [group, count] : groups()) {
      if (group.kind != Kind::kKmsV2 || group.standing != Standing::kLive) continue;
      last = std::max(last, {count.newest, group.key_id});
    }
    return last.second;
  }

  void Keys() {
    const std::string wanted = demands_.key.empty() ? KeyInUse() : demands_.key;
    std::map<std::string, Several> others;
    bool any = false;
    for (const auto& [group, count] : groups()) {
      if (group.kind != Kind::kKmsV2) continue;
      if (group.key_id == wanted || KeyIdHash(group.key_id) == wanted) {
        any = any || group.standing == Standing::kLive;
      } else {
        others[group.key_id].Add(group, count);
      }
    }
    for (const auto& [key_id, those] : others) {
      Say("other-key", !demands_.key.empty(),
          absl::StrCat("key ", Printable(key_id, kShownKeyId), " is still needed by ",
                       absl::StrJoin(those.values, ", "), WrittenAt(those.oldest)),
          those.objects);
    }
    if (!demands_.key.empty() && !any) {
      Say("key-unused", true,
          absl::StrCat("nothing is encrypted under key ", Printable(wanted, kShownKeyId)));
    }
  }

  void Providers() {
    std::map<std::string, std::set<std::string>> of_key;
    for (const auto& [group, count] : groups()) {
      if (group.kind == Kind::kKmsV2 && group.standing == Standing::kLive) {
        of_key[group.key_id].insert(group.name);
      }
    }
    for (const auto& [key_id, providers] : of_key) {
      if (providers.size() > 1) Say("two-providers", false, OfSeveral(key_id, providers));
    }
  }

  void OtherProviders() {
    std::map<std::pair<Kind, std::string>, Several> others;
    for (const auto& [group, count] : groups()) {
      switch (group.kind) {
        case Kind::kKmsV1:
        case Kind::kAesCbc:
        case Kind::kAesGcm:
        case Kind::kSecretbox: others[{group.kind, group.name}].Add(group, count); break;
        default: break;
      }
    }
    for (const auto& [provider, those] : others) {
      Say("other-provider", !demands_.key.empty(),
          absl::StrCat(ToString(provider.first), " ", provider.second, " is still needed by ",
                       absl::StrJoin(those.values, ", "), WrittenAt(those.oldest)),
          those.objects);
    }
  }

  void ColdStart() {
    const std::uint64_t seeds = survey_.tally.live_seeds();
    if (seeds == 0) return;
    std::string line = absl::StrCat("a kube-apiserver that starts has ", seeds,
                                    seeds == 1 ? " seed" : " seeds", " to decrypt");
    if (demands_.round_trip) {
      const absl::Duration all = static_cast<double>(seeds) * *demands_.round_trip;
      absl::StrAppend(&line, ": about ",
                      absl::FormatDuration(absl::Ceil(all, absl::Milliseconds(100))),
                      ", one after the other, at ", absl::FormatDuration(*demands_.round_trip));
    }
    Say("cold-start", false, line);
  }

  void Limits() {
    if (survey_.tally.uncounted() > 0) {
      Say("uncounted", true,
          absl::StrCat(survey_.tally.uncounted(), " values of more than ", Tally::kMostGroups,
                       " resources and keys are not counted: read a part with --prefix"));
    }
    if (survey_.restarted) {
      Say("restarted", false,
          "etcd compacted the revision that was read first, so a newer one was read");
    }
  }

  const Survey& survey_;
  const Demands& demands_;
  const std::set<std::string> must_be_encrypted_;
  const std::set<std::string> no_plaintext_of_;
  std::vector<Finding> found_;
};

}  // namespace

std::vector<Finding> FindingsOf(const Survey& survey, const Demands& demands) {
  return Finder(survey, demands).All();
}

std::set<std::string> MustBeEncrypted(const Tally& tally) {
  std::set<std::string> resources{"secrets"};
  for (const auto& [group, count] : tally.groups()) {
    if (group.standing == Standing::kLive && IsEncrypted(group.kind)) {
      resources.insert(group.resource);
    }
  }
  return resources;
}

std::string Values(Standing standing, std::uint64_t count, absl::string_view resource) {
  switch (standing) {
    case Standing::kLive: break;
    case Standing::kOldRevision:
      return absl::StrCat(count, " old revision", count == 1 ? "" : "s", " of ", resource);
    case Standing::kFreedPage:
      return absl::StrCat(count, " value", count == 1 ? "" : "s", " of ", resource,
                          " on freed pages");
  }
  return absl::StrCat(count, count == 1 ? " of " : " ", resource);
}

std::string OfSeveral(absl::string_view key_id, const std::set<std::string>& providers) {
  return absl::StrCat("key ", Printable(key_id, kShownKeyId), " is of ",
                      providers.size() == 2 ? "two" : absl::StrCat(providers.size()),
                      " providers, ", absl::StrJoin(providers, " and "), ": those may be two keys");
}

std::string MinuteAfter(absl::Time time) {
  const absl::Time start = absl::UnixEpoch();
  return Minute(start + absl::Ceil(time - start, absl::Minutes(1)));
}

std::string Written(const Between& between) {
  if (between.from && between.to) {
    return absl::StrCat(", written between ", Minute(*between.from), " and ",
                        MinuteAfter(*between.to), " UTC");
  }
  if (between.from) return absl::StrCat(", written after ", Minute(*between.from), " UTC");
  if (between.to) return absl::StrCat(", written before ", MinuteAfter(*between.to), " UTC");
  return "";
}

}  // namespace okms::audit
