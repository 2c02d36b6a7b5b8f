// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which resource of Kubernetes a key in etcd belongs to.

#ifndef OKMS_AUDIT_RESOURCE_H_
#define OKMS_AUDIT_RESOURCE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace okms::audit {

// What stands before all resources (kube-apiserver's --etcd-prefix) where `prefix` is read, which
// may name a part only: "/registry/" of "/registry/secrets/"; "/kubernetes.io/" and
// "/openshift.io/" likewise. Of another one it is all until "registry", "/a/registry/", or else the
// first part: "/k8s/" of "/k8s/secrets/".
std::string RootOf(absl::string_view prefix);

// As encryption-provider-config names it. After the root comes
//   RESOURCE/...        "secrets"; what is kept under another name than its own (minions,
//                       services/endpoints) has its own
//   GROUP/RESOURCE/...  "applications.argoproj.io": the group has a dot, and no resource has
// Printable, 253 bytes at the most. What is not below the root has its folder, "/other/secrets", or
// is "(elsewhere)".
std::string ResourceOf(absl::string_view key, absl::string_view root);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_RESOURCE_H_
