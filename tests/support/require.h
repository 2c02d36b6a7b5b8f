// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What a test needs that not every machine has.

#ifndef OKMS_TESTS_SUPPORT_REQUIRE_H_
#define OKMS_TESTS_SUPPORT_REQUIRE_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace okms::test {

// Whether what cannot be run here fails: $OKMS_REQUIRE_ALL is 1, as in CI.
inline bool AllIsRequired() {
  const char* const required = std::getenv("OKMS_REQUIRE_ALL");
  return required != nullptr && std::string(required) == "1";
}

}  // namespace okms::test

// First in a test, or in SetUp: skips it where `there` is false, unless all is required. `missing`:
// what there is not, and how to get it.
#define OKMS_REQUIRE_OR_SKIP(there, missing)                \
  if (!(there)) {                                           \
    if (::okms::test::AllIsRequired()) FAIL() << (missing); \
    GTEST_SKIP() << (missing);                              \
  }                                                         \
  static_assert(true)

#endif  // OKMS_TESTS_SUPPORT_REQUIRE_H_
