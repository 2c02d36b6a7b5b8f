// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the machine says of itself and of the plugin's process.

#ifndef OKMS_CTL_MACHINE_H_
#define OKMS_CTL_MACHINE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace okms::ctl {

// `most` bytes of a file at the most. Errors: kUnavailable, with the path.
absl::StatusOr<std::string> FileText(const std::string& path, std::size_t most);

// What a program says on both streams, `most` bytes of it, within some seconds; else why it cannot
// be seen.
std::string OutputOf(const std::vector<std::string>& command, std::size_t most);

// The kernel, the distribution, and what confines processes: security modules, Landlock, seccomp.
std::string KernelText();

// The ids of processes of that name, as proc(5) has it: by its first 15 bytes; some at the most.
std::vector<std::string> ProcessesNamed(absl::string_view name);

// Its command line, identity, limits of rights and memory.
std::string ProcessText(const std::string& pid);

}  // namespace okms::ctl

#endif  // OKMS_CTL_MACHINE_H_
