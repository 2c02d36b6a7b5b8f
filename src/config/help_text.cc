// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "config/help_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace okms {
namespace {

constexpr std::size_t kScreen = 80;  // columns

}  // namespace

std::string Wrapped(absl::string_view text) {
  std::string lines;
  std::size_t column = kDescription;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    const bool first = lines.empty();
    const bool fits = column + word.size() + 1 <= kScreen;
    absl::StrAppend(&lines, first ? "" : fits ? " " : "\n", word);
    column = (fits ? column + (first ? 0 : 1) : kDescription) + word.size();
  }
  return lines;
}

}  // namespace okms
