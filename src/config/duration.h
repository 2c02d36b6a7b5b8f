// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#ifndef OKMS_CONFIG_DURATION_H_
#define OKMS_CONFIG_DURATION_H_

#include <chrono>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace okms {

// "10s", "1m30s"; between `least` and a day. Errors: kInvalidArgument, a line that begins with
// `flag`.
absl::StatusOr<std::chrono::milliseconds> ParseDuration(absl::string_view flag,
                                                        const std::string& text,
                                                        std::chrono::milliseconds least);

}  // namespace okms

#endif  // OKMS_CONFIG_DURATION_H_
