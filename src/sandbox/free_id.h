// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A user id for a machine that has no user for this service.

#ifndef OKMS_SANDBOX_FREE_ID_H_
#define OKMS_SANDBOX_FREE_ID_H_

#include <sys/types.h>

#include <functional>
#include <optional>

namespace okms::sandbox {

// The ids of systemd's DynamicUser=, which no user or group is given for good (uid_gid(5)).
inline constexpr uid_t kFirstFreeId = 61184;
inline constexpr uid_t kLastFreeId = 65519;

// Whether a user or a group of this machine has that id.
bool IsTaken(uid_t id);

// The first of them from a fixed one on that is not taken: the same at each start, as long as
// nobody takes it. None when all are.
std::optional<uid_t> FreeId(const std::function<bool(uid_t)>& is_taken = IsTaken);

}  // namespace okms::sandbox

#endif  // OKMS_SANDBOX_FREE_ID_H_
