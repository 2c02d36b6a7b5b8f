// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What a KMS shows of a key, and what that means for us.

#ifndef OKMS_CORE_KEY_INFO_H_
#define OKMS_CORE_KEY_INFO_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace okms {

// A KMS may hide anything from us; what is hidden is absent. Then only a round trip tells.
struct KeyInfo {
  struct Trait {
    bool has;           // whether the key has it
    std::string words;  // how the KMS puts it, for a line when it has not
  };
  std::optional<Trait> symmetric;  // "object type 1"
  std::optional<Trait> active;     // "Deactivated, not Active"
  std::optional<Trait> aes;        // "algorithm 2"
  std::optional<int> bits;
  std::optional<Trait> encrypts;  // "Encrypt by its usage mask"
  std::optional<Trait> decrypts;
  std::optional<std::vector<std::string>> labels;
};

// Why the key cannot be used, for example "is in state Deactivated, not Active"; empty when nothing
// that is shown speaks against it.
std::string WhyUnfit(const KeyInfo& key);

// Whether it was seen that the key is active; not, when the KMS hides states.
bool IsSeenActive(const KeyInfo& key);

// Whether it was seen that the key has that label; not, when the KMS hides labels.
bool ShowsLabel(const KeyInfo& key, absl::string_view label);

}  // namespace okms

#endif  // OKMS_CORE_KEY_INFO_H_
