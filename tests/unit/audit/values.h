// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Values as kube-apiserver stores them.

#ifndef OKMS_TESTS_UNIT_AUDIT_VALUES_H_
#define OKMS_TESTS_UNIT_AUDIT_VALUES_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "audit/store.h"

namespace okms::audit {

inline std::string Varint(std::uint64_t number) {
  std::string bytes;
  for (; number >= 0x80; number >>= 7) bytes += static_cast<char>(0x80 | (number & 0x7f));
  return bytes + static_cast<char>(number);
}

inline std::string BytesField(int number, absl::string_view value) {
  return absl::StrCat(Varint(static_cast<std::uint64_t>(number) << 3 | 2), Varint(value.size()),
                      value);
}

inline std::string VarintField(int number, std::uint64_t value) {
  return absl::StrCat(Varint(static_cast<std::uint64_t>(number) << 3), Varint(value));
}

inline std::string Annotation(absl::string_view name, absl::string_view value) {
  return BytesField(4, BytesField(1, name) + BytesField(2, value));
}

// Of an EncryptedObject, one of a seed.
inline std::string EncryptedObject(absl::string_view key_id, absl::string_view seed) {
  return BytesField(1, std::string(32 + 12 + 5 + 16, 'd')) + BytesField(2, key_id) +
         BytesField(3, seed) + VarintField(5, 1);
}

inline std::string KmsV2(absl::string_view key_id, absl::string_view seed,
                         absl::string_view provider = "okms") {
  return absl::StrCat("k8s:enc:kms:v2:", provider, ":", EncryptedObject(key_id, seed));
}

// runtime.Unknown around an object that was created then.
inline std::string Protobuf(std::uint64_t seconds) {
  const std::string metadata =
      BytesField(1, "name") + BytesField(8, VarintField(1, seconds) + VarintField(2, 0));
  return std::string("k8s\0", 4) + BytesField(1, BytesField(1, "v1")) +
         BytesField(2, BytesField(1, metadata) + BytesField(2, "data"));
}

inline StoredValue At(absl::string_view key, absl::string_view value, std::int64_t revision,
                      Standing standing = Standing::kLive) {
  return {key, value, revision, revision, standing};
}

}  // namespace okms::audit

#endif  // OKMS_TESTS_UNIT_AUDIT_VALUES_H_
