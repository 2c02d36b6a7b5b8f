// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A file of variables, as systemd reads it (systemd.exec(5), EnvironmentFile=).

#ifndef OKMS_DOCTOR_ENVIRONMENT_FILE_H_
#define OKMS_DOCTOR_ENVIRONMENT_FILE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace okms::doctor {

// NAME=VALUE, a line each; quotes around a value, or parts of it, are none of it; a backslash at
// the end of a line joins it with the next one; lines that begin with # or ; are comments. What is
// no such line systemd passes over, and so is it here.
std::map<std::string, std::string> ParseEnvironmentFile(absl::string_view text);

// Words between blanks, with quotes and backslashes as `systemctl show` prints them.
std::vector<std::string> SplitWords(absl::string_view text);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_ENVIRONMENT_FILE_H_
