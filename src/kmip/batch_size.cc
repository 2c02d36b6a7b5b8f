// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/batch_size.h"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace okms::kmip {
namespace {

void Add(BatchSize::Time& smoothed, BatchSize::Time time) {
  smoothed = smoothed.count() == 0 ? time : (7 * smoothed + time) / 8;
}

}  // namespace

void BatchSize::Took(Time time, std::size_t items) {
  Add(items == 1 ? alone_ : together_, time / static_cast<int64_t>(items));
}

std::size_t BatchSize::Most(std::size_t waiting, std::size_t sessions, Time left) const {
  // A single measurement may be far off, and must not be the last: several take no longer, each,
  // than one alone.
  const Time each = together_.count() > 0 ? std::min(together_, alone_) : alone_;
  // Two are enough to see what it is.
  const std::size_t share = std::max<std::size_t>(2, (waiting + sessions - 1) / sessions);
  const bool worth_it = together_.count() > 0 && 3 * together_ < 2 * alone_;
  std::size_t most = worth_it ? waiting : share;
  if (each.count() > 0) {
    const auto in_time = std::max<int64_t>(1, left / (2 * each));
    most = std::min(most, static_cast<std::size_t>(in_time));
  }
  return std::min(most, waiting);
}

std::size_t BatchSize::Sessions() const {
  // One at the KMS, one on each way. (Measured: with two it is as good, with one more work.)
  constexpr std::size_t kFew = 3;
  const bool few = together_.count() > 0 && alone_ < kMoment && 4 * together_ < alone_;
  return few ? kFew : std::numeric_limits<std::size_t>::max();
}

}  // namespace okms::kmip
