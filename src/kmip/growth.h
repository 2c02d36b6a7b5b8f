// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How many sessions there may be, and what each rank may have of them.

#ifndef OKMS_KMIP_GROWTH_H_
#define OKMS_KMIP_GROWTH_H_

#include <array>
#include <chrono>
#include <cstddef>

#include "base/deadline.h"
#include "kmip/call.h"

namespace okms::kmip {

// Servers let in only so many. One that refuses the next connection, or lets it hang, while those
// that are there go on, is left alone for a while, and then asked for one more. Until that is
// there, those that are share all work. Pure: the time is given. Not thread-safe.
class Growth {
 public:
  static constexpr std::chrono::seconds kFirstPause{1};
  static constexpr std::chrono::seconds kLongestPause{60};

  explicit Growth(std::size_t most) : most_(most) {}

  // An opening failed, or came to something.
  void Failed(Clock::time_point now);
  void Succeeded() { failures_ = 0; }

  // How many sessions there may be now, of which `there` are ready.
  std::size_t Limit(std::size_t there, Clock::time_point now) const;
  // How many share the work, or will soon.
  std::size_t Sharing(std::size_t there) const;
  // When that may be more again.
  Clock::time_point paused_until() const { return until_; }

 private:
  const std::size_t most_;
  int failures_ = 0;  // in a row
  Clock::time_point until_;
};

// Whether one more session may work for that rank, of which `busy` each do now. Herds leave some to
// what comes seldom, and no calls take what the checks need; nor the other way round.
bool MayWork(Rank rank, const std::array<std::size_t, kRanks>& busy, std::size_t limit);

}  // namespace okms::kmip

#endif  // OKMS_KMIP_GROWTH_H_
