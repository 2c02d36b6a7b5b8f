// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/call_queue.h"

#include <algorithm>
#include <utility>

namespace okms::kmip {

bool CallQueue::empty() const {
  return std::all_of(waiting_.begin(), waiting_.end(),
                     [](const Waiting& some) { return some.empty(); });
}

void CallQueue::Add(std::unique_ptr<Call> call) {
  Waiting& some = Of(call->rank);
  const Deadline deadline = call->deadline;
  Count(call->rank, 1);
  some.emplace(deadline, std::move(call));
}

std::unique_ptr<Call> CallQueue::Take(Rank rank) {
  Waiting& some = Of(rank);
  Count(rank, -1);
  return std::move(some.extract(some.begin()).mapped());
}

std::unique_ptr<Call> CallQueue::Take(const Call& call) {
  Waiting& some = Of(call.rank);
  auto [next, end] = some.equal_range(call.deadline);
  next = std::find_if(next, end, [&](const auto& entry) { return entry.second.get() == &call; });
  if (next == end) return nullptr;
  Count(call.rank, -1);
  return std::move(some.extract(next).mapped());
}

std::vector<std::unique_ptr<Call>> CallQueue::TakeAll() {
  std::vector<std::unique_ptr<Call>> all;
  for (Waiting& some : waiting_) {
    for (auto& [deadline, call] : some) {
      Count(call->rank, -1);
      all.push_back(std::move(call));
    }
    some.clear();
  }
  return all;
}

std::vector<std::unique_ptr<Call>> CallQueue::TakeHopeless(int most_openings) {
  std::vector<std::unique_ptr<Call>> hopeless;
  for (Waiting& some : waiting_) {
    for (auto next = some.begin(); next != some.end();) {
      const auto entry = next++;
      if (++entry->second->failed_openings < most_openings) continue;
      Count(entry->second->rank, -1);
      hopeless.push_back(std::move(some.extract(entry).mapped()));
    }
  }
  return hopeless;
}

Deadline CallQueue::Latest() const {
  Deadline latest;
  for (const Waiting& some : waiting_) {
    if (!some.empty()) latest = std::max(latest, some.rbegin()->first);
  }
  return latest;
}

}  // namespace okms::kmip
