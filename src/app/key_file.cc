// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/key_file.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "config/key_id_file.h"
#include "core/key_id_hash.h"

namespace okms {

KeyFile::KeyFile(const Config& config, const Logger& log, std::function<void(KeyId)> use)
    : config_(config), log_(log), use_(std::move(use)), named_(config.key_id) {}

void KeyFile::Read() {
  if (!is_there()) return;
  const NamedFile& file = config_.key_id_file;
  absl::StatusOr<std::string> id = ReadKeyIdFile(file, config_.protocol->keys_are_uuids);
  const std::string before =
      std::exchange(trouble_, std::string(id.ok() ? "" : id.status().message()));
  if (!id.ok()) {
    if (trouble_ != before) {
      log_.Write(
          {Severity::kError, EventName::kKeyFileTrouble,
           absl::StrCat(trouble_, "; what it held before counts on: key ", Printable(named_)),
           KeyIdHash(named_)});
    }
    return;
  }
  if (!before.empty()) {
    log_.Write({Severity::kNotice, EventName::kKeyFileUsable,
                absl::StrCat(Printable(file.Name(), 400), ": can be used again: it names key ",
                             Printable(*id)),
                KeyIdHash(*id)});
  }
  if (*id == named_) return;
  named_ = *id;
  use_({*std::move(id), file.option});
}

}  // namespace okms
