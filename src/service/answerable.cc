// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/answerable.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/utf8.h"

namespace okms {

absl::StatusOr<std::string> Answerable(absl::StatusOr<std::string> key_id) {
  if (!key_id.ok() || IsUtf8(*key_id)) return key_id;
  return absl::FailedPreconditionError(
      absl::StrCat("the key id \"", Printable(*key_id, 80), "\" is no UTF-8; use another key"));
}

}  // namespace okms
