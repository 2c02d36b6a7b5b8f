// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/shown_text.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "base/status.h"

namespace okms::doctor {
namespace {

constexpr char kNotShown[] = "(not shown)";
constexpr std::size_t kLongestName = 31;
// 16 bytes, the shortest key that kube-apiserver takes, are 22 letters and "==".
constexpr std::size_t kShortestKey = 20;

bool IsLetterOrDigit(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }

// So many letters without a capital or a digit are hardly a key; paths and names are long, too.
bool MayHoldKey(absl::string_view text) {
  if (text.find_first_of("+=") != absl::string_view::npos) return true;
  std::size_t size = 0;
  bool capital = false;
  bool digit = false;
  for (const char c : text) {
    const bool of_key = IsLetterOrDigit(c) || c == '/';
    size = of_key ? size + 1 : 0;
    capital = of_key && (capital || absl::ascii_isupper(static_cast<unsigned char>(c)));
    digit = of_key && (digit || absl::ascii_isdigit(static_cast<unsigned char>(c)));
    if (size > kShortestKey && capital && digit) return true;
  }
  return false;
}

}  // namespace

bool IsFieldName(absl::string_view text) {
  return !text.empty() && text.size() <= kLongestName &&
         absl::ascii_isalpha(static_cast<unsigned char>(text.front())) &&
         std::all_of(text.begin(), text.end(), IsLetterOrDigit);
}

std::string ShownName(absl::string_view text) {
  return IsFieldName(text) ? std::string(text) : kNotShown;
}

std::string ShownValue(absl::string_view text) {
  return MayHoldKey(text) ? kNotShown : Printable(text);
}

}  // namespace okms::doctor
