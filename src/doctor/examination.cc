// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/examination.h"

#include "absl/strings/str_cat.h"

namespace okms::doctor {

std::string Examination::unit() const { return found.unit.empty() ? kDefaultUnit : found.unit; }

std::string Examination::EditCommand() const {
  if (!found.file.empty()) return absl::StrCat("${EDITOR:-vi} ", found.file);
  if (!found.unit.empty()) return absl::StrCat("systemctl edit ", found.unit);
  return "okms-k8s-encryption-provider --help";
}

}  // namespace okms::doctor
