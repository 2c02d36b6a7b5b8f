// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How OKMS says no: an HTTP status and an ErrorResponse.

#ifndef OKMS_TESTS_MOCK_KMS_REST_ERROR_H_
#define OKMS_TESTS_MOCK_KMS_REST_ERROR_H_

#include <string>
#include <vector>

#include "mock_kms/rest_message.h"

namespace okms::test {

// `errors` are the texts for people. Identifier and code follow from the status: the code packs
// system (bits 31-24), component (23-16), category (15-12) and a number of the application's own.
RestResponse RestError(int status, const std::vector<std::string>& errors);

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_REST_ERROR_H_
