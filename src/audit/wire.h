// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The fields of a protobuf message, without a copy of them.

#ifndef OKMS_AUDIT_WIRE_H_
#define OKMS_AUDIT_WIRE_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace okms::audit {

struct Field {
  int number = 0;
  bool is_bytes = false;    // else `varint` is what it holds
  absl::string_view bytes;  // a view into the message
  std::uint64_t varint = 0;
};

// Calls `on_field` for those that are bytes or a varint, and passes over the others. Whether all of
// the message is well formed, which is not known before the end.
bool ForEachField(absl::string_view message, absl::FunctionRef<void(const Field&)> on_field);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_WIRE_H_
