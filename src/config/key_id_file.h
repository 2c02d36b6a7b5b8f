// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The file of --encryption-key-id-file.

#ifndef OKMS_CONFIG_KEY_ID_FILE_H_
#define OKMS_CONFIG_KEY_ID_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "net/tls_context.h"

namespace okms {

inline constexpr std::size_t kMaxKeyName = 1024;  // bytes; kube-apiserver's limit of a key id

// The one id that it holds. White space around it, line ends and a byte order mark are no part of
// it. Reads regular files only, so it blocks for no writer. Errors: kInvalidArgument, one line that
// names the option, the file and the remedy.
absl::StatusOr<std::string> ReadKeyIdFile(const NamedFile& file, bool must_be_uuid);

}  // namespace okms

#endif  // OKMS_CONFIG_KEY_ID_FILE_H_
