// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// SHA-256 of bytes that come in pieces, or of many short texts.

#ifndef OKMS_AUDIT_SHA256_H_
#define OKMS_AUDIT_SHA256_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/secret.h"

struct evp_md_ctx_st;

namespace okms::audit {

constexpr std::size_t kSha256Size = 32;
using Sha256Digest = std::array<std::uint8_t, kSha256Size>;

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Add(ByteView bytes);
  // Of all that was added, and begins anew.
  Sha256Digest Take();

 private:
  evp_md_ctx_st* context_;
};

}  // namespace okms::audit

#endif  // OKMS_AUDIT_SHA256_H_
