// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "unit/sandbox/bpf.h"

#include <cstddef>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace okms::test {

absl::StatusOr<uint32_t> RunFilter(const std::vector<sock_filter>& filter,
                                   const seccomp_data& call) {
  uint32_t accumulator = 0;
  // Jumps lead forward only, so this ends.
  for (std::size_t at = 0; at < filter.size(); ++at) {
    const sock_filter& instruction = filter[at];
    const uint32_t operand = instruction.k;
    bool jump_if = false;
    switch (instruction.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (operand % sizeof accumulator != 0 || operand >= sizeof call) {
          return absl::OutOfRangeError(absl::StrCat("reads at ", operand));
        }
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&call) + operand,
                    sizeof accumulator);
        continue;
      case BPF_ALU | BPF_AND | BPF_K: accumulator &= operand; continue;
      case BPF_RET | BPF_K: return operand;
      case BPF_JMP | BPF_JA: at += operand; continue;
      case BPF_JMP | BPF_JEQ | BPF_K: jump_if = accumulator == operand; break;
      case BPF_JMP | BPF_JGT | BPF_K: jump_if = accumulator > operand; break;
      case BPF_JMP | BPF_JGE | BPF_K: jump_if = accumulator >= operand; break;
      default:
        return absl::UnimplementedError(
            absl::StrCat("instruction ", at, " has the code ", instruction.code));
    }
    at += jump_if ? instruction.jt : instruction.jf;
  }
  return absl::OutOfRangeError("runs past its end");
}

}  // namespace okms::test
