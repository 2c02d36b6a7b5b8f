// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/key_info.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace okms {

std::string WhyUnfit(const KeyInfo& key) {
  const auto lacks = [](const std::optional<KeyInfo::Trait>& trait) {
    return trait && !trait->has;
  };
  if (lacks(key.symmetric)) return absl::StrCat("is no symmetric key (", key.symmetric->words, ")");
  if (lacks(key.active)) return absl::StrCat("is in state ", key.active->words);
  if (lacks(key.aes)) return absl::StrCat("is not an AES key (", key.aes->words, ")");
  if (key.bits && *key.bits != 128 && *key.bits != 192 && *key.bits != 256) {
    return absl::StrCat("has ", *key.bits, " bits; AES has 128, 192 or 256");
  }
  if (lacks(key.encrypts)) return absl::StrCat("may not ", key.encrypts->words);
  if (lacks(key.decrypts)) return absl::StrCat("may not ", key.decrypts->words);
  return "";
}

bool IsSeenActive(const KeyInfo& key) { return key.active && key.active->has; }

bool ShowsLabel(const KeyInfo& key, absl::string_view label) {
  return key.labels &&
         std::find(key.labels->begin(), key.labels->end(), label) != key.labels->end();
}

}  // namespace okms
