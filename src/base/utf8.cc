// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/utf8.h"

#include <cstddef>
#include <cstdint>

namespace okms {

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    const auto first = static_cast<uint8_t>(text.front());
    const std::size_t more = first < 0x80   ? 0
                             : first < 0xC2 ? text.size()  // a later byte, or an overlong form
                             : first < 0xE0 ? 1
                             : first < 0xF0 ? 2
                             : first < 0xF5 ? 3
                                            : text.size();
    if (more >= text.size()) return false;
    for (std::size_t i = 1; i <= more; ++i) {
      const auto byte = static_cast<uint8_t>(text[i]);
      // What the first byte leaves open is closed by the second (RFC 3629, section 4).
      const bool second = i == 1;
      const int least = second && first == 0xE0 ? 0xA0 : second && first == 0xF0 ? 0x90 : 0x80;
      const int most = second && first == 0xED ? 0x9F : second && first == 0xF4 ? 0x8F : 0xBF;
      if (byte < least || byte > most) return false;
    }
    text.remove_prefix(more + 1);
  }
  return true;
}

}  // namespace okms
