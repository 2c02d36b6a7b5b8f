// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How long to wait before the next try, when tries fail one after the other.

#ifndef OKMS_BASE_BACKOFF_H_
#define OKMS_BASE_BACKOFF_H_

#include <algorithm>

namespace okms {

// After so many failures in a row (1 or more): `first`, then twice as long each time, up to
// `longest`.
template <typename Duration>
constexpr Duration Backoff(int failures, Duration first, Duration longest) {
  Duration pause = first;
  while (--failures > 0 && pause < longest) pause *= 2;
  return std::min(pause, longest);
}

}  // namespace okms

#endif  // OKMS_BASE_BACKOFF_H_
