// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Random bytes and names.

#ifndef OKMS_TESTS_MOCK_KMS_RANDOM_H_
#define OKMS_TESTS_MOCK_KMS_RANDOM_H_

#include <cstddef>
#include <string>

namespace okms::test {

std::string RandomBytes(std::size_t size);

// Version 4 (RFC 4122 section 4.4), in lower case.
std::string RandomUuid();

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_RANDOM_H_
