// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Where the output goes that somebody gave a file for.

#ifndef OKMS_CTL_NEW_FILE_H_
#define OKMS_CTL_NEW_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace CLI {
class App;
}

namespace okms::ctl {

// -f, --file.
void AddNewFile(CLI::App& command, std::string& path);

// A new file, for its owner alone; one that is there is not touched. Errors: kUnavailable, one line
// that begins with the option.
absl::Status WriteNewFile(const std::string& path, absl::string_view text);

}  // namespace okms::ctl

#endif  // OKMS_CTL_NEW_FILE_H_
