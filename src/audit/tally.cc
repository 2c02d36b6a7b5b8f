// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/tally.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "audit/resource.h"
#include "base/status.h"

namespace okms::audit {
namespace {

constexpr std::size_t kShownKey = 300;  // bytes: two names of Kubernetes', and their folders

absl::string_view BytesOf(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// The first ones by name, each once, in whichever order they come.
void AddName(absl::string_view key, std::vector<std::string>& names) {
  if (names.size() == Tally::kMostNames && key > names.back()) return;
  std::string name = Printable(key, kShownKey);
  const auto place = std::lower_bound(names.begin(), names.end(), name);
  if (place != names.end() && *place == name) return;  // another revision of it
  names.insert(place, std::move(name));
  if (names.size() > Tally::kMostNames) names.pop_back();
}

}  // namespace

Tally::Tally(absl::string_view prefix) : root_(RootOf(prefix)) {}

void Tally::Add(const StoredValue& value, const Envelope& envelope) {
  ++values_;
  Group group{value.standing, ResourceOf(value.key, root_), envelope.kind,
              envelope.name,  std::string(envelope.key_id), envelope.wrong};
  auto found = groups_.find(group);
  if (found == groups_.end()) {
    if (groups_.size() >= kMostGroups) {
      ++uncounted_;
      return;
    }
    found = groups_.emplace(std::move(group), Count()).first;
    found->second.oldest = found->second.newest = value.mod_revision;
    found->second.number = groups_.size();
  }
  Count& count = found->second;
  ++count.objects;
  count.oldest = std::min(count.oldest, value.mod_revision);
  count.newest = std::max(count.newest, value.mod_revision);
  AddName(value.key, count.first);
  if (!envelope.seed) return;
  if (value.standing == Standing::kLive) live_seeds_.insert(*envelope.seed);
  const Digest here = DigestOf({absl::StrCat(count.number), BytesOf(*envelope.seed)});
  if (seeds_of_groups_.insert(here).second) ++count.seeds;
}

}  // namespace okms::audit
