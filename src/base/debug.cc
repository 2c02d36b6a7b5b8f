// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/debug.h"

#include "absl/strings/str_cat.h"

namespace okms {

std::atomic<const Logger*> DebugTo::log_ = nullptr;

DebugTo::DebugTo(const Logger& log) {
  if (log.debug()) log_.store(&log, std::memory_order_release);
}

DebugTo::~DebugTo() { log_.store(nullptr, std::memory_order_release); }

std::string Stopwatch::Text() const {
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began_);
  return absl::StrCat(passed.count(), " ms");
}

}  // namespace okms
