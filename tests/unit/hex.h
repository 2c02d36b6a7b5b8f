// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Bytes as hexadecimal text.

#ifndef OKMS_TESTS_UNIT_HEX_H_
#define OKMS_TESTS_UNIT_HEX_H_

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "base/secret.h"

namespace okms::test {

// Takes spaces between the digits.
inline std::string FromHex(absl::string_view hex) {
  std::string digits;
  for (const char c : hex) {
    if (c != ' ') digits += c;
  }
  return absl::HexStringToBytes(digits);
}

inline std::string ToHex(ByteView bytes) { return absl::BytesToHexString(AsText(bytes)); }

}  // namespace okms::test

#endif  // OKMS_TESTS_UNIT_HEX_H_
