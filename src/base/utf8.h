// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Text as protobuf and JSON want it.

#ifndef OKMS_BASE_UTF8_H_
#define OKMS_BASE_UTF8_H_

#include "absl/strings/string_view.h"

namespace okms {

// RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool IsUtf8(absl::string_view text);

}  // namespace okms

#endif  // OKMS_BASE_UTF8_H_
