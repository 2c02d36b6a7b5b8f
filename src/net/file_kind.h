// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What a file is that is not what it should be: for the message about it.

#ifndef OKMS_NET_FILE_KIND_H_
#define OKMS_NET_FILE_KIND_H_

#include <string>

#include "absl/strings/string_view.h"

namespace okms {

enum class PemKind { kCertificate, kPrivateKey, kCa };

// Why there is no PEM of the `wanted` kind in `content`, and what to do, "is ... ; ...", when that
// can be told; else empty. `path` is for commands that a reader may copy.
std::string WrongKind(absl::string_view content, const std::string& path, PemKind wanted);

}  // namespace okms

#endif  // OKMS_NET_FILE_KIND_H_
