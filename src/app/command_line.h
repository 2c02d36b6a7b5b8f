// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The first question: is there anything to serve?

#ifndef OKMS_APP_COMMAND_LINE_H_
#define OKMS_APP_COMMAND_LINE_H_

#include <string>
#include <variant>
#include <vector>

#include "config/config.h"

namespace okms {

inline constexpr int kRunTimeError = 1;
inline constexpr int kUsageError = 2;

// The configuration; or, with the process's exit code, that all is said: --help and the like are on
// standard output, mistakes in the log, a line each, and in what `systemctl status` shows.
std::variant<Config, int> ReadCommandLine(const std::vector<std::string>& argv);

}  // namespace okms

#endif  // OKMS_APP_COMMAND_LINE_H_
