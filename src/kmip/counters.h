// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What is counted of the sessions with one server.

#ifndef OKMS_KMIP_COUNTERS_H_
#define OKMS_KMIP_COUNTERS_H_

#include <array>
#include <cstdint>

#include "base/counter.h"
#include "base/histogram.h"
#include "kmip/call.h"
#include "net/traffic.h"

namespace okms::kmip {

inline constexpr std::array<int64_t, 6> kBatchBounds = {1, 2, 4, 8, 16, 32};

// As Traffic, which must outlive it.
struct Counters {
  explicit Counters(Traffic& with) : traffic(with) {}

  Traffic& traffic;
  std::array<Gauge, kRanks> waiting;  // calls, by their rank
  Histogram<kBatchBounds> batch;      // operations in a request that was answered
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_COUNTERS_H_
