// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/sha256.h"

#include <openssl/evp.h>

#include <cstdlib>

namespace okms::audit {
namespace {

// Fails without memory, or where OpenSSL has no SHA-256: no TLS would work there either.
void Require(bool done) {
  if (!done) std::abort();
}

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  Require(context_ != nullptr && EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() { EVP_MD_CTX_free(context_); }

void Sha256::Add(ByteView bytes) {
  Require(EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1);
}

Sha256Digest Sha256::Take() {
  Sha256Digest digest{};
  Require(EVP_DigestFinal_ex(context_, digest.data(), nullptr) == 1);
  // Without a type it keeps the one that it has, and does not look for it again.
  Require(EVP_DigestInit_ex(context_, nullptr, nullptr) == 1);
  return digest;
}

}  // namespace okms::audit
