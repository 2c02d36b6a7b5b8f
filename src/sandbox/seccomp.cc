// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "sandbox/seccomp.h"

#include <seccomp.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "sandbox/system_calls.h"

namespace okms::sandbox {
namespace {

struct FilterDeleter {
  void operator()(scmp_filter_ctx filter) const { ::seccomp_release(filter); }
};
using FilterPtr = std::unique_ptr<void, FilterDeleter>;

// libseccomp returns a negative errno.
absl::Status Check(int result, absl::string_view what) {
  if (result == 0) return absl::OkStatus();
  return ErrnoStatus(absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("sandbox: seccomp: ", what), -result);
}

absl::Status NotTaken() {
  return absl::FailedPreconditionError(
      "sandbox: seccomp: the kernel does not take the filter; does a container forbid it?");
}

// Numbers below zero stand for calls that this architecture has not.
absl::StatusOr<int> Number(const char* name) {
  const int number = ::seccomp_syscall_resolve_name(name);
  if (number != __NR_SCMP_ERROR) return number;
  return absl::FailedPreconditionError(
      absl::StrCat("sandbox: seccomp: libseccomp does not know the call ", name));
}

template <typename Call>
absl::Status AddRule(scmp_filter_ctx filter, uint32_t action, int number, const Call& call) {
  std::vector<scmp_arg_cmp> arguments;
  for (const Argument& argument : call.arguments) {
    arguments.push_back({argument.index, SCMP_CMP_MASKED_EQ, argument.mask, argument.value});
  }
  return Check(
      ::seccomp_rule_add_exact_array(filter, action, number,
                                     static_cast<unsigned>(arguments.size()), arguments.data()),
      call.name);
}

absl::Status Allow(scmp_filter_ctx filter, const AllowedCall& call) {
  OKMS_ASSIGN_OR_RETURN(int number, Number(call.name));
  if (number < 0 && call.other_name != nullptr) {
    OKMS_ASSIGN_OR_RETURN(number, Number(call.other_name));
  }
  if (number < 0) return absl::OkStatus();
  return AddRule(filter, SCMP_ACT_ALLOW, number, call);
}

absl::Status Refuse(scmp_filter_ctx filter, const RefusedCall& call) {
  OKMS_ASSIGN_OR_RETURN(const int number, Number(call.name));
  if (number < 0) return absl::OkStatus();
  return AddRule(filter, SCMP_ACT_ERRNO(static_cast<uint32_t>(call.error)), number, call);
}

absl::StatusOr<FilterPtr> MakeFilter() {
  FilterPtr filter(::seccomp_init(SCMP_ACT_KILL_PROCESS));
  if (!filter) return NotTaken();
  const auto set = [&](scmp_filter_attr attribute, uint32_t value, absl::string_view what) {
    return Check(::seccomp_attr_set(filter.get(), attribute, value), what);
  };
  OKMS_RETURN_IF_ERROR(set(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS, "architectures"));
  // Set already, with the layers that need it too; without it the filter must not load.
  OKMS_RETURN_IF_ERROR(set(SCMP_FLTATR_CTL_NNP, 0, "no new privileges"));
  OKMS_RETURN_IF_ERROR(set(SCMP_FLTATR_CTL_TSYNC, 1, "all threads"));
  OKMS_RETURN_IF_ERROR(set(SCMP_FLTATR_CTL_OPTIMIZE, 2, "binary tree"));
  for (const AllowedCall& call : AllowedCalls()) OKMS_RETURN_IF_ERROR(Allow(filter.get(), call));
  for (const RefusedCall& call : RefusedCalls()) OKMS_RETURN_IF_ERROR(Refuse(filter.get(), call));
  return filter;
}

}  // namespace

absl::Status LoadFilter() {
  OKMS_ASSIGN_OR_RETURN(const FilterPtr filter, MakeFilter());
  const int loaded = ::seccomp_load(filter.get());
  if (loaded == -ECANCELED) return NotTaken();  // libseccomp's word for whatever the kernel said
  OKMS_RETURN_IF_ERROR(Check(loaded, "load"));
  // Of a descriptor that is not there, the kernel says EBADF; before it is asked, the filter
  // refuses.
  if (::ioctl(-1, 0) == -1 && errno == ENOTTY) return absl::OkStatus();
  return absl::FailedPreconditionError("sandbox: seccomp: the filter is not in force");
}

absl::Status ExportFilter(int fd) {
  OKMS_ASSIGN_OR_RETURN(const FilterPtr filter, MakeFilter());
  return Check(::seccomp_export_bpf(filter.get(), fd), "export");
}

}  // namespace okms::sandbox
