// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Words of kube-apiserver's file, as a line may have them. There are keys in that file, and a blank
// or a colon that is missing makes a key a name, or a part of the value of the line before.

#ifndef OKMS_DOCTOR_SHOWN_TEXT_H_
#define OKMS_DOCTOR_SHOWN_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace okms::doctor {

// Whether it may be the name of a field: a letter, and 30 letters and digits more at most.
bool IsFieldName(absl::string_view text);

// The name of a field, or of a kind: what may be none is "(not shown)".
std::string ShownName(absl::string_view text);

// A value, Printable: what may have a key of base64 in it is "(not shown)".
std::string ShownValue(absl::string_view text);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_SHOWN_TEXT_H_
