// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Whether the process may have the threads that it will need.

#ifndef OKMS_BASE_THREAD_ROOM_H_
#define OKMS_BASE_THREAD_ROOM_H_

#include <cstddef>

#include "absl/status/status.h"

namespace okms {

// Has `count` threads at once, for a moment. Limits of tasks, processes and memory all show here,
// before gRPC meets them: without a thread of its own it neither answers nor says so. Errors:
// kResourceExhausted.
absl::Status CheckThreadRoom(std::size_t count);

}  // namespace okms

#endif  // OKMS_BASE_THREAD_ROOM_H_
