// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How the key is named in the configuration.

#ifndef OKMS_CORE_KEY_NAME_H_
#define OKMS_CORE_KEY_NAME_H_

#include <string>
#include <variant>

namespace okms {

struct KeyId {
  std::string value;
  std::string option = "--encryption-key-id";  // what named it, for a line
};
struct KeyLabel {
  std::string value;
};
using KeyName = std::variant<KeyId, KeyLabel>;

}  // namespace okms

#endif  // OKMS_CORE_KEY_NAME_H_
