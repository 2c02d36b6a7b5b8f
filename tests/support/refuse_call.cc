// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "support/refuse_call.h"

#include <seccomp.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace okms::test {
namespace {

absl::Status Failed(const std::string& call, int error) {
  return ErrnoStatus(absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("cannot refuse the call ", call), error);
}

}  // namespace

absl::Status RefuseCall(const std::string& call, int error) {
  const std::vector<std::string> parts = absl::StrSplit(call, absl::ByAnyChar(":="));
  scmp_arg_cmp argument{0, SCMP_CMP_EQ, 0, 0};
  const int number = ::seccomp_syscall_resolve_name(parts[0].c_str());
  if (number < 0 || (parts.size() != 1 && parts.size() != 3)) return Failed(call, EINVAL);
  if (parts.size() == 3 && (!absl::SimpleAtoi(parts[1], &argument.arg) ||
                            !absl::SimpleAtoi(parts[2], &argument.datum_a))) {
    return Failed(call, EINVAL);
  }
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(::seccomp_init(SCMP_ACT_ALLOW),
                                                                ::seccomp_release);
  // Root needs no "no new privileges" for this, and a test may want to see that the program sets
  // it.
  const uint32_t needed = ::geteuid() == 0 ? 0 : 1;
  int result = ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_NNP, needed);
  if (result == 0) {
    result =
        ::seccomp_rule_add_exact_array(filter.get(), SCMP_ACT_ERRNO(static_cast<uint32_t>(error)),
                                       number, parts.size() == 3 ? 1 : 0, &argument);
  }
  if (result == 0) result = ::seccomp_load(filter.get());
  return result == 0 ? absl::OkStatus() : Failed(call, -result);
}

}  // namespace okms::test
