// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A build with sanitizers, which cannot be installed, has no sandbox but the change of user: their
// runtime reads files, starts threads and traces the process in ways that are forbidden here.

#include "sandbox/confine.h"

#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "base/status.h"
#include "sandbox/process.h"
#include "sandbox/seccomp.h"

namespace okms::sandbox {
namespace {

#ifdef OKMS_SANITIZED
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace

absl::StatusOr<Confinement> Confine(const std::string& user, const Reach& reach) {
  RaiseMemoryLimit();
  OKMS_ASSIGN_OR_RETURN(const Account account, DropPrivileges(user));
  if (kSanitized) {
    const std::string none = "NO SANDBOX (a build with sanitizers, for tests only)";
    return Confinement{none, none, account, 0};
  }
  OKMS_ASSIGN_OR_RETURN(std::vector<std::string> facts, LockDown());
  OKMS_ASSIGN_OR_RETURN(const int abi, RestrictReach(reach));
  facts.insert(facts.begin(), DescribeLandlock(abi));
  return Confinement{facts.front(), absl::StrJoin(facts, "; "), account, abi};
}

absl::Status FilterSystemCalls() { return kSanitized ? absl::OkStatus() : LoadFilter(); }

}  // namespace okms::sandbox
