// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The answer to Get, which hands out a key. Our plugin never asks for it; others insist on it, and
// could not be compared otherwise.

#ifndef OKMS_TESTS_MOCK_KMS_GET_H_
#define OKMS_TESTS_MOCK_KMS_GET_H_

#include <cstdint>

#include "base/secret.h"
#include "kmip/ttlv.h"
#include "kmip/version.h"

namespace okms::test {

inline constexpr uint32_t kGet = 0x0A;  // the operation (KMIP 1.4 section 9.1.3.2.27)

// A whole reply (section 4.11) with an AES-256 key of zeros, whatever key was asked for: nobody
// gets hold of a real one. `payload`: of the request.
WipedBytes AnswerGet(kmip::ProtocolVersion version, ByteView batch_item_id,
                     const ttlv::Item& payload);

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_GET_H_
