// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// UUIDs, which OVHcloud's REST API takes for the ids of domains and keys.

#ifndef OKMS_BASE_UUID_H_
#define OKMS_BASE_UUID_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace okms {

// The canonical form (lower case with dashes, RFC 9562 section 4) of the forms that the Go plugin
// takes: the canonical one in any case, also with "urn:uuid:" before it or braces around it, and 32
// hexadecimal digits. nullopt when it is none of these.
std::optional<std::string> ParseUuid(absl::string_view text);

}  // namespace okms

#endif  // OKMS_BASE_UUID_H_
