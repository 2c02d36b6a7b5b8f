// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How a key is named where its id is not to be seen.

#ifndef OKMS_CORE_KEY_ID_HASH_H_
#define OKMS_CORE_KEY_ID_HASH_H_

#include <string>

#include "absl/strings/string_view.h"

namespace okms {

// "sha256:" and 64 hexadecimal digits, as kube-apiserver has it in its metrics and its log
// (key_id_hash), so that both can be held against each other; empty for an empty id, as there.
std::string KeyIdHash(absl::string_view key_id);

}  // namespace okms

#endif  // OKMS_CORE_KEY_ID_HASH_H_
