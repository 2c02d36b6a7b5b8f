// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "mock_kms/aes_gcm.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include "net/openssl_ptr.h"

namespace okms::test {
namespace {

const EVP_CIPHER* Cipher(std::size_t key_size) {
  switch (key_size) {
    case 16: return EVP_aes_128_gcm();
    case 24: return EVP_aes_192_gcm();
    case 32: return EVP_aes_256_gcm();
    default: return nullptr;
  }
}

// A context that has taken the key, the IV and the additional data; null when it cannot.
EvpCipherCtxPtr Begin(bool encrypt, ByteView key, ByteView iv, ByteView additional) {
  EvpCipherCtxPtr context(EVP_CIPHER_CTX_new());
  const EVP_CIPHER* cipher = Cipher(key.size());
  const int direction = encrypt ? 1 : 0;
  int ignored = 0;
  if (!context || cipher == nullptr || iv.empty() ||
      EVP_CipherInit_ex2(context.get(), cipher, nullptr, nullptr, direction, nullptr) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_IVLEN, static_cast<int>(iv.size()),
                          nullptr) != 1 ||
      EVP_CipherInit_ex2(context.get(), nullptr, key.data(), iv.data(), direction, nullptr) != 1 ||
      (!additional.empty() && EVP_CipherUpdate(context.get(), nullptr, &ignored, additional.data(),
                                               static_cast<int>(additional.size())) != 1)) {
    ERR_clear_error();
    return nullptr;
  }
  return context;
}

bool Update(EVP_CIPHER_CTX* context, ByteView in, std::string& out) {
  out.resize(in.size());
  int written = 0;
  return in.empty() || EVP_CipherUpdate(context, reinterpret_cast<unsigned char*>(out.data()),
                                        &written, in.data(), static_cast<int>(in.size())) == 1;
}

bool Final(EVP_CIPHER_CTX* context) {
  unsigned char nothing[16];
  int written = 0;
  return EVP_CipherFinal_ex(context, nothing, &written) == 1;
}

}  // namespace

std::optional<GcmResult> GcmEncrypt(ByteView key, ByteView iv, ByteView additional, ByteView data,
                                    std::size_t tag_size) {
  const EvpCipherCtxPtr context = Begin(true, key, iv, additional);
  GcmResult result;
  result.tag.resize(tag_size);
  if (!context || !Update(context.get(), data, result.data) || !Final(context.get()) ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag_size),
                          result.tag.data()) != 1) {
    ERR_clear_error();
    return std::nullopt;
  }
  return result;
}

std::optional<std::string> GcmDecrypt(ByteView key, ByteView iv, ByteView additional, ByteView data,
                                      ByteView tag) {
  const EvpCipherCtxPtr context = Begin(false, key, iv, additional);
  std::string result;
  std::string expected(AsText(tag));
  if (!context ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(expected.size()),
                          expected.data()) != 1 ||
      !Update(context.get(), data, result) || !Final(context.get())) {
    ERR_clear_error();
    return std::nullopt;
  }
  return result;
}

}  // namespace okms::test
