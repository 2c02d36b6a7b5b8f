// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// "Did you mean": for names that somebody mistyped.

#ifndef OKMS_CONFIG_NEAREST_H_
#define OKMS_CONFIG_NEAREST_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace okms {

// The one of `names` that differs least from `name`, by letters that are wrong, missing, too many
// or swapped; empty when none is near enough to be what was meant.
std::string Nearest(absl::string_view name, const std::vector<std::string>& names);

}  // namespace okms

#endif  // OKMS_CONFIG_NEAREST_H_
