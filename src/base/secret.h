// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Secrets: bytes that are wiped when their memory is given back.

#ifndef OKMS_BASE_SECRET_H_
#define OKMS_BASE_SECRET_H_

#include <openssl/crypto.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace okms {

using ByteView = std::span<const uint8_t>;

inline ByteView AsBytes(absl::string_view text) {
  // char and uint8_t may alias: this is a view of the same bytes.
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline absl::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Wipes each block before it is freed, also the ones that a growing vector leaves behind.
template <typename T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <typename U>
  WipingAllocator(const WipingAllocator<U>&) noexcept {}  // NOLINT(google-explicit-constructor)
  T* allocate(std::size_t n) { return std::allocator<T>().allocate(n); }
  void deallocate(T* p, std::size_t n) noexcept {
    OPENSSL_cleanse(p, n * sizeof(T));
    std::allocator<T>().deallocate(p, n);
  }
  bool operator==(const WipingAllocator&) const { return true; }
};

// For a text that a library made of a secret.
inline void Wipe(std::string& text) { OPENSSL_cleanse(text.data(), text.size()); }

// A growable buffer for bytes that may hold a secret (a message on its way, for one).
using WipedBytes = std::vector<uint8_t, WipingAllocator<uint8_t>>;

// A secret value: moved, never copied, never printed. Reveal() is the one way to its bytes, so that
// every place that touches them can be found.
class Secret {
 public:
  Secret() = default;
  explicit Secret(ByteView bytes) : bytes_(bytes.begin(), bytes.end()) {}
  explicit Secret(WipedBytes bytes) : bytes_(std::move(bytes)) {}
  Secret(Secret&&) = default;
  Secret& operator=(Secret&&) = default;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

  ByteView Reveal() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }

  // In constant time for equal sizes; the size itself is not secret.
  bool Equals(const Secret& other) const {
    return size() == other.size() &&
           (bytes_.empty() || CRYPTO_memcmp(bytes_.data(), other.bytes_.data(), size()) == 0);
  }

 private:
  WipedBytes bytes_;
};

}  // namespace okms

#endif  // OKMS_BASE_SECRET_H_
