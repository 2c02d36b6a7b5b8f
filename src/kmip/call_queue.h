// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The calls that wait for a session.

#ifndef OKMS_KMIP_CALL_QUEUE_H_
#define OKMS_KMIP_CALL_QUEUE_H_

#include <array>
#include <map>
#include <memory>
#include <vector>

#include "kmip/call.h"
#include "kmip/counters.h"

namespace okms::kmip {

// Each rank has a queue of its own, by deadline, so that a herd takes no room from what comes
// seldom. Not thread-safe.
class CallQueue {
 public:
  // It shows there how many wait.
  explicit CallQueue(Counters& counters) : counters_(counters) {}

  static constexpr std::size_t kMost = 1024;  // of each rank

  bool IsFull(Rank rank) const { return Of(rank).size() >= kMost; }
  bool empty() const;
  std::size_t size(Rank rank) const { return Of(rank).size(); }
  // The one whose deadline comes first; there must be one.
  const Call& First(Rank rank) const { return *Of(rank).begin()->second; }

  void Add(std::unique_ptr<Call> call);
  // The first of that rank.
  std::unique_ptr<Call> Take(Rank rank);
  // That one; null when it is not here.
  std::unique_ptr<Call> Take(const Call& call);
  std::vector<std::unique_ptr<Call>> TakeAll();
  // Those that have waited in vain for an opening: counts a failed one for each.
  std::vector<std::unique_ptr<Call>> TakeHopeless(int most_openings);
  // The latest deadline of all; there must be one.
  Deadline Latest() const;

 private:
  using Waiting = std::multimap<Deadline, std::unique_ptr<Call>>;
  Waiting& Of(Rank rank) { return waiting_[static_cast<std::size_t>(rank)]; }
  const Waiting& Of(Rank rank) const { return waiting_[static_cast<std::size_t>(rank)]; }

  // Of that rank so many more, or less.
  void Count(Rank rank, int64_t more) {
    counters_.waiting[static_cast<std::size_t>(rank)].Add(more);
  }

  Counters& counters_;
  std::array<Waiting, kRanks> waiting_;
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_CALL_QUEUE_H_
