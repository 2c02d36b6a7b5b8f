// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/digest.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "audit/sha256.h"
#include "base/secret.h"

namespace okms::audit {

Digest DigestOf(std::initializer_list<absl::string_view> parts) {
  Sha256 sha;
  for (const absl::string_view part : parts) {
    sha.Add(AsBytes(absl::StrCat(part.size(), ":")));
    sha.Add(AsBytes(part));
  }
  const Sha256Digest whole = sha.Take();
  Digest digest;
  std::copy_n(whole.begin(), digest.size(), digest.begin());
  return digest;
}

}  // namespace okms::audit
