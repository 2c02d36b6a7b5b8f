// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/uuid.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace okms {
namespace {

constexpr std::size_t kCanonicalSize = 36;
constexpr absl::string_view kUrn = "urn:uuid:";

bool IsDash(std::size_t position) {
  return position == 8 || position == 13 || position == 18 || position == 23;
}

}  // namespace

std::optional<std::string> ParseUuid(absl::string_view text) {
  if (text.size() == 32) {
    return ParseUuid(absl::StrCat(text.substr(0, 8), "-", text.substr(8, 4), "-",
                                  text.substr(12, 4), "-", text.substr(16, 4), "-",
                                  text.substr(20)));
  }
  if (text.size() == kCanonicalSize + 2 && text.front() == '{' && text.back() == '}') {
    text = text.substr(1, kCanonicalSize);
  }
  if (absl::StartsWithIgnoreCase(text, kUrn)) text.remove_prefix(kUrn.size());
  if (text.size() != kCanonicalSize) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool fits =
        IsDash(i) ? text[i] == '-' : absl::ascii_isxdigit(static_cast<unsigned char>(text[i]));
    if (!fits) return std::nullopt;
  }
  return absl::AsciiStrToLower(text);
}

}  // namespace okms
