// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the subcommands of okms-kms-ctl have in common.

#ifndef OKMS_CTL_SUBCOMMAND_H_
#define OKMS_CTL_SUBCOMMAND_H_

#include <functional>
#include <string>

#include "absl/strings/string_view.h"

namespace CLI {
class App;
}

namespace okms::ctl {

enum ExitCode {
  kGood = 0,
  kFindings = 1,  // not ready; something is wrong
  kUsageError = 2,
  kCannotTell = 3,  // what was to be looked at could not be seen
};

// What the subcommand that was named does, once the command line is whole. Its exit code.
using Run = std::function<int()>;

// Each subcommand has a function as this one, in a file of its name: it adds itself and its options
// to `app`, and has `run` set when it is the one that was named. Both outlive the options.
using AddSubcommand = void(CLI::App& app, Run& run);

AddSubcommand AddAudit;
AddSubcommand AddBugReport;
AddSubcommand AddCheck;
AddSubcommand AddEncryptionConfig;
AddSubcommand AddStatus;

enum class Output { kText, kJson };

// -o text|json.
void AddOutput(CLI::App& command, Output& output);

// "okms-kms-ctl: `line`", on standard error.
void Complain(absl::string_view line);

// Whether standard output took it.
bool Print(const std::string& text);

}  // namespace okms::ctl

#endif  // OKMS_CTL_SUBCOMMAND_H_
