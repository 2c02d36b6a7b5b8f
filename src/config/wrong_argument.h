// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What CLI11 would say in words of its own, or not at all, about the programs beside the plugin.

#ifndef OKMS_CONFIG_WRONG_ARGUMENT_H_
#define OKMS_CONFIG_WRONG_ARGUMENT_H_

#include <optional>

namespace CLI {
class App;
}

namespace okms {

// Reads the command line. Where there is nothing more to do, the exit code, with what is to be said
// on its stream: 0 after --help and --version, else `usage_error`, after one line that begins with
// the program's name. An option or a command that there is not is answered with the one that is
// meant. No option may be empty: what a shell makes of a file that is not there, "$(cat FILE)",
// must not be a demand less.
std::optional<int> ReadCommandLine(CLI::App& app, int argc, char** argv, int usage_error);

}  // namespace okms

#endif  // OKMS_CONFIG_WRONG_ARGUMENT_H_
