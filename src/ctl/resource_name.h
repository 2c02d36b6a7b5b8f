// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Resources as an EncryptionConfiguration names them: "secrets", "widgets.example.com", "*.apps",
// "*." (all of the core group), "*.*".

#ifndef OKMS_CTL_RESOURCE_NAME_H_
#define OKMS_CTL_RESOURCE_NAME_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace okms::ctl {

// Whether `one` is `other`, or a wildcard that `other` falls under.
bool Covers(absl::string_view one, absl::string_view other);

// Whether kube-apiserver takes them in one list, and whether each leads to something: a name that
// is not there is no error of kube-apiserver's, and leaves all unencrypted. By
// pkg/apis/apiserver/validation/validation_encryption.go of k8s.io/apiserver. Errors:
// kInvalidArgument, one line that begins with `what` they are, an option for one.
absl::Status CheckResources(const std::vector<std::string>& resources, absl::string_view what);

// "secrets, configmaps", without wildcards: etcd does not know what falls under one. Errors:
// kInvalidArgument, what is wrong with which.
absl::StatusOr<std::set<std::string>> ParseResources(absl::string_view text);

}  // namespace okms::ctl

#endif  // OKMS_CTL_RESOURCE_NAME_H_
