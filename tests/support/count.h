// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How many values a histogram has seen.

#ifndef OKMS_TESTS_SUPPORT_COUNT_H_
#define OKMS_TESTS_SUPPORT_COUNT_H_

#include <cstdint>
#include <numeric>

#include "base/histogram.h"

namespace okms::test {

inline uint64_t Count(const Distribution& seen) {
  return std::accumulate(seen.counts.begin(), seen.counts.end(), uint64_t{0});
}

}  // namespace okms::test

#endif  // OKMS_TESTS_SUPPORT_COUNT_H_
