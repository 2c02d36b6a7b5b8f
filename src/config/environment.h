// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which variables of the environment reach the libraries.

#ifndef OKMS_CONFIG_ENVIRONMENT_H_
#define OKMS_CONFIG_ENVIRONMENT_H_

#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace okms {

// "NAME", or "PREFIX_*"; several with ", " between them.
struct Variable {
  const char* name;
  const char* reason;
};

std::span<const Variable> ClearedVariables();
// Those of libraries that may stay; all that is in neither table stays as well, since nobody reads
// it, or only before main.
std::span<const Variable> KeptVariables();

// Whether a variable is in the second table.
bool IsKept(absl::string_view name);

// Takes the first table's variables out of the environment and returns the names of those that were
// there. Call it first of all in main: while there is one thread, and before a library looks.
std::vector<std::string> ClearEnvironment();

}  // namespace okms

#endif  // OKMS_CONFIG_ENVIRONMENT_H_
