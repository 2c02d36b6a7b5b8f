// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What must hold for every input.

#ifndef OKMS_TESTS_FUZZ_REQUIRE_H_
#define OKMS_TESTS_FUZZ_REQUIRE_H_

#include <cstdio>
#include <cstdlib>

// Ends the program when `condition` does not hold, also in builds without assert(3).
#define OKMS_REQUIRE(condition)                                                           \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)

#endif  // OKMS_TESTS_FUZZ_REQUIRE_H_
