// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/growth.h"

#include <algorithm>

#include "base/backoff.h"

namespace okms::kmip {
namespace {

// What calls leave to checks, and Decrypts to Encrypts.
constexpr std::size_t Reserve(std::size_t limit) { return limit < 8 ? 1 : 2; }

std::size_t Less(std::size_t limit, std::size_t by) { return limit > by ? limit - by : 1; }

}  // namespace

void Growth::Failed(Clock::time_point now) {
  until_ = now + Backoff(++failures_, kFirstPause, kLongestPause);
}

std::size_t Growth::Limit(std::size_t there, Clock::time_point now) const {
  const std::size_t more = now < until_ ? 0 : 1;
  return std::min(most_, Sharing(there) + (failures_ > 0 ? more : 0));
}

std::size_t Growth::Sharing(std::size_t there) const {
  return failures_ > 0 && there > 0 ? std::min(there, most_) : most_;
}

bool MayWork(Rank rank, const std::array<std::size_t, kRanks>& busy, std::size_t limit) {
  const auto of = [&](Rank some) { return busy[static_cast<std::size_t>(some)]; };
  const std::size_t calls = of(Rank::kEncrypt) + of(Rank::kDecrypt);
  switch (rank) {
    case Rank::kCheck: return of(Rank::kCheck) < std::max<std::size_t>(limit / 2, 1);
    case Rank::kEncrypt: return calls < Less(limit, Reserve(limit));
    case Rank::kDecrypt:
      return calls < Less(limit, Reserve(limit)) &&
             of(Rank::kDecrypt) < Less(limit, 2 * Reserve(limit));
  }
  return false;
}

}  // namespace okms::kmip
