// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Text as protobuf, JSON and the log want it.

#ifndef OKMS_BASE_UTF8_H_
#define OKMS_BASE_UTF8_H_

#include <string>

#include "absl/strings/string_view.h"

namespace okms {

// RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool IsUtf8(absl::string_view text);

// One line that a terminal shows and the journal takes for text: control characters, and bytes that
// are no UTF-8, become '?'.
std::string OneLine(absl::string_view text);

}  // namespace okms

#endif  // OKMS_BASE_UTF8_H_
