// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/process.h"

#include <malloc.h>

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/thread_room.h"

namespace okms {
namespace {

// One for the KMS, one for the log, some ten of gRPC's, which has more on a larger machine.
constexpr std::size_t kThreads = 40;

// Of glibc's malloc, which would make one for each of the first threads, eight times as many as
// there are processors: what is free in one is of no use to the others. Two cost no speed,
// measured, since each thread keeps small blocks for itself. Another malloc does not know of it.
constexpr int kArenas = 2;

}  // namespace

void LimitArenas() { ::mallopt(M_ARENA_MAX, kArenas); }

absl::Status CheckThreads() { return CheckThreadRoom(kThreads); }

void NoticeCleared(const std::vector<std::string>& variables, const Logger& log) {
  if (variables.empty()) return;
  log.Notice(EventName::kConfigurationWarning,
             absl::StrCat("variables of the environment that are not used: ",
                          absl::StrJoin(variables, ", ")));
}

}  // namespace okms
