// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// An interpreter of classic BPF, as seccomp runs it: it answers what the kernel would, for a call
// that nobody makes.

#ifndef OKMS_TESTS_UNIT_SANDBOX_BPF_H_
#define OKMS_TESTS_UNIT_SANDBOX_BPF_H_

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace okms::test {

// The filter's answer to this call: SECCOMP_RET_... and its data. Only what libseccomp emits is
// known. Errors: kUnimplemented, an instruction that is not; kOutOfRange, it reads or jumps out of
// what there is.
absl::StatusOr<uint32_t> RunFilter(const std::vector<sock_filter>& filter,
                                   const seccomp_data& call);

}  // namespace okms::test

#endif  // OKMS_TESTS_UNIT_SANDBOX_BPF_H_
