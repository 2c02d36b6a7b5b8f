// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// okms-refuse-call CALL ERROR PROGRAM ARGUMENT...: runs the program where the kernel refuses this
// system call (support/refuse_call.h), with an error number.

#include <unistd.h>

#include <cstdio>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "support/refuse_call.h"

int main(int argc, char** argv) {
  constexpr int kUsageError = 2;
  constexpr int kCannotRun = 127;
  int error = 0;
  if (argc < 4 || !absl::SimpleAtoi(argv[2], &error)) {
    std::fputs("usage: okms-refuse-call CALL ERROR PROGRAM ARGUMENT...\n", stderr);
    return kUsageError;
  }
  if (const absl::Status status = okms::test::RefuseCall(argv[1], error); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return kCannotRun;
  }
  ::execv(argv[3], argv + 3);
  std::perror(argv[3]);
  return kCannotRun;
}
