// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// AES-GCM, as a KMS computes it.

#ifndef OKMS_TESTS_MOCK_KMS_AES_GCM_H_
#define OKMS_TESTS_MOCK_KMS_AES_GCM_H_

#include <optional>
#include <string>

#include "base/secret.h"

namespace okms::test {

struct GcmResult {
  std::string data;
  std::string tag;
};

// Key of 16, 24 or 32 bytes; IV of 1 or more. nullopt when OpenSSL does not take one of these.
std::optional<GcmResult> GcmEncrypt(ByteView key, ByteView iv, ByteView additional, ByteView data,
                                    std::size_t tag_size);

// nullopt also when the tag does not fit.
std::optional<std::string> GcmDecrypt(ByteView key, ByteView iv, ByteView additional, ByteView data,
                                      ByteView tag);

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_AES_GCM_H_
