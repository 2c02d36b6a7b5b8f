// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What --help has to say, as it fits a screen.

#ifndef OKMS_CONFIG_HELP_TEXT_H_
#define OKMS_CONFIG_HELP_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace okms {

inline constexpr std::size_t kDescription = 30;  // the column where what is said of a flag begins

// Text as lines that fit beside the flags.
std::string Wrapped(absl::string_view text);

}  // namespace okms

#endif  // OKMS_CONFIG_HELP_TEXT_H_
