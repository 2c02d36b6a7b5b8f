// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/calendar.h"

#include <algorithm>
#include <utility>

namespace okms::audit {
namespace {

// Clocks of a control plane differ, and times are by the second.
constexpr absl::Duration kTolerance = absl::Minutes(1);

// Where in `all` the longest sequence of times that never falls is: which entry comes before which
// in the best one that ends with it (patience sorting).
template <typename Entry>
std::vector<Entry> LongestRise(const std::vector<Entry>& all) {
  std::vector<std::size_t> ends;  // by length less 1: the entry that ends it with the lowest time
  std::vector<std::size_t> before(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto place =
        std::upper_bound(ends.begin(), ends.end(), all[i].time,
                         [&](absl::Time time, std::size_t end) { return time < all[end].time; });
    before[i] = place == ends.begin() ? i : *(place - 1);
    if (place == ends.end()) {
      ends.push_back(i);
    } else {
      *place = i;
    }
  }
  std::vector<Entry> rise(ends.size());
  std::size_t at = ends.empty() ? 0 : ends.back();
  for (auto entry = rise.rbegin(); entry != rise.rend(); ++entry) {
    *entry = all[at];
    at = before[at];
  }
  return rise;
}

}  // namespace

void Calendar::Add(const StoredValue& value, Kind kind) {
  if (value.create_revision <= 0) return;
  const std::optional<absl::Time> time = CreationTime(value.value, kind);
  if (time) Add(value.create_revision, *time);
}

void Calendar::Add(std::int64_t revision, absl::Time time) {
  Insert({{revision, time}, {revision, time}});
  while (eras_.size() > kMostEras) {
    ++era_bits_;
    for (const auto& [number, era] : std::exchange(eras_, {})) Insert(era);
  }
}

void Calendar::Insert(const Era& era) {
  const auto [place, is_new] = eras_.try_emplace(era.first.revision >> era_bits_, era);
  if (is_new) return;
  Era& there = place->second;
  // By both, so that it does not matter in which order they come.
  there.first = std::min(there.first, era.first);
  there.last = std::max(there.last, era.last);
}

void Calendar::Settle() {
  std::vector<Entry> all;
  for (const auto& [number, era] : eras_) {
    all.push_back(era.first);
    if (era.last != era.first) all.push_back(era.last);
  }
  settled_ = LongestRise(all);
  std::size_t fitting = 0;
  for (const Entry& entry : all) {
    const Between between = When(entry.revision);
    if (between.from && entry.time < *between.from - kTolerance) continue;
    if (between.to && entry.time > *between.to + kTolerance) continue;
    ++fitting;
  }
  if (fitting * 3 < all.size() * 2) settled_.clear();
}

Between Calendar::When(std::int64_t revision) const {
  const auto next = std::lower_bound(
      settled_.begin(), settled_.end(), revision,
      [](const Entry& entry, std::int64_t wanted) { return entry.revision < wanted; });
  Between between;
  if (next != settled_.end()) between.to = next->time;
  if (next != settled_.end() && next->revision == revision) {
    between.from = next->time;
  } else if (next != settled_.begin()) {
    between.from = (next - 1)->time;
  }
  return between;
}

}  // namespace okms::audit
