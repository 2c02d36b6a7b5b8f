// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The certificates of a PEM file.

#ifndef OKMS_NET_PEM_CERTIFICATES_H_
#define OKMS_NET_PEM_CERTIFICATES_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/openssl_ptr.h"

namespace okms {

// One certificate of a text: from its first line up to before the first of whatever comes next.
struct PemCertificate {
  absl::string_view text;
  int line = 0;  // where it begins; the first one of a file is 1
};

// Where they are, whether or not they can be read.
std::vector<PemCertificate> FindCertificates(absl::string_view pem);

// All of them, in their order; what else is in the file is passed over. Errors: kNotFound, there is
// none; kInvalidArgument, "certificate 2 (line 31) is broken (REASON)": to leave one out would
// surface much later, as a chain that cannot be verified.
absl::StatusOr<std::vector<X509Ptr>> ReadCertificates(absl::string_view pem);

}  // namespace okms

#endif  // OKMS_NET_PEM_CERTIFICATES_H_
