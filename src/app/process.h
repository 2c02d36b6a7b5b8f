// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the process as a whole needs.

#ifndef OKMS_APP_PROCESS_H_
#define OKMS_APP_PROCESS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/log.h"

namespace okms {

// Of the heap. Call it before there is a second thread.
void LimitArenas();

// Whether there is room for all the threads that there will be. Errors: kResourceExhausted.
absl::Status CheckThreads();

// What ClearEnvironment took, for whoever meant to say something by it.
void NoticeCleared(const std::vector<std::string>& variables, const Logger& log);

}  // namespace okms

#endif  // OKMS_APP_PROCESS_H_
