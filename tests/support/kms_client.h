// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The client of the KMS v2 service, by the names that the tests and tools use.

#ifndef OKMS_TESTS_SUPPORT_KMS_CLIENT_H_
#define OKMS_TESTS_SUPPORT_KMS_CLIENT_H_

#include "client/kms_client.h"

namespace okms::test {

using client::KmsClient;
using client::Record;
using client::StatusReply;

}  // namespace okms::test

#endif  // OKMS_TESTS_SUPPORT_KMS_CLIENT_H_
