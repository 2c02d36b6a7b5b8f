// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What a fault makes of an answer.

#ifndef OKMS_TESTS_MOCK_KMS_REST_SPOIL_H_
#define OKMS_TESTS_MOCK_KMS_REST_SPOIL_H_

#include <optional>
#include <string>

#include "mock_kms/rest_fault.h"
#include "mock_kms/rest_message.h"

namespace okms::test {

// The id of the keys that kOtherKey speaks of.
inline constexpr char kOtherKeyId[] = "0ddba11e-0ddb-4011-8ead-0ddba11ec0de";

// The answer in place of the true one; nullopt for kinds that spoil the true one, or that are about
// the connection.
std::optional<RestResponse> Substitute(const RestFault& fault, std::optional<RestCall> call,
                                       const RestRequest& request);

// The request whose true answer is to be spoiled: the one that came, but a continuation token that
// the fault has made up is taken out.
RestRequest BeforeSpoiling(const RestFault& fault, const RestRequest& request);

// Spoils a true answer. Leaves it alone when it is an error, or when the fault does not concern it.
void Spoil(const RestFault& fault, std::optional<RestCall> call, RestResponse& response);

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_REST_SPOIL_H_
