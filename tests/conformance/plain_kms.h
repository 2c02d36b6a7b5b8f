// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A KMS for a plugin that is wrong on purpose. It speaks what a plugin speaks: no codec of its own.

#ifndef OKMS_TESTS_CONFORMANCE_PLAIN_KMS_H_
#define OKMS_TESTS_CONFORMANCE_PLAIN_KMS_H_

#include <string>

namespace okms::test {

// Who sends this as uid asks for the key itself.
inline constexpr char kRawKey[] = "raw-key";

// Serves at that socket; the id of the key to encrypt with is what stands in the file. On SIGUSR1
// it says how often it was asked for what.
[[noreturn]] void ServeKms(const std::string& socket, const std::string& key_file);

}  // namespace okms::test

#endif  // OKMS_TESTS_CONFORMANCE_PLAIN_KMS_H_
