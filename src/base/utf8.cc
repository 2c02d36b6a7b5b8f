// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/utf8.h"

#include <cstddef>
#include <cstdint>

namespace okms {

namespace {

// The bytes of the first character of `text`, which is not empty; 0 when they are none.
std::size_t FirstLength(absl::string_view text) {
  const auto first = static_cast<uint8_t>(text.front());
  const std::size_t more = first < 0x80   ? 0
                           : first < 0xC2 ? text.size()  // a later byte, or an overlong form
                           : first < 0xE0 ? 1
                           : first < 0xF0 ? 2
                           : first < 0xF5 ? 3
                                          : text.size();
  if (more >= text.size()) return 0;
  for (std::size_t i = 1; i <= more; ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    // What the first byte leaves open is closed by the second (RFC 3629, section 4).
    const bool second = i == 1;
    const int least = second && first == 0xE0 ? 0xA0 : second && first == 0xF0 ? 0x90 : 0x80;
    const int most = second && first == 0xED ? 0x9F : second && first == 0xF4 ? 0x8F : 0xBF;
    if (byte < least || byte > most) return 0;
  }
  return more + 1;
}

// U+0000 to U+001F and U+007F to U+009F: what moves the cursor of a terminal, and more.
bool IsControl(absl::string_view character) {
  const auto first = static_cast<uint8_t>(character.front());
  const bool later = first == 0xC2 && static_cast<uint8_t>(character[1]) < 0xA0;
  return first < 0x20 || first == 0x7F || later;
}

}  // namespace

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    const std::size_t length = FirstLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string OneLine(absl::string_view text) {
  std::string line;
  line.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = FirstLength(text);
    const absl::string_view character = text.substr(0, length == 0 ? 1 : length);
    if (length == 0 || IsControl(character)) {
      line += '?';
    } else {
      line.append(character.data(), character.size());
    }
    text.remove_prefix(character.size());
  }
  return line;
}

}  // namespace okms
