// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/resource.h"

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace okms::audit {
namespace {

constexpr absl::string_view kUsualRoot = "/registry/";
constexpr std::size_t kLongest = 253;  // of a name in Kubernetes

// Where kube-apiserver keeps what it once called otherwise.
constexpr std::pair<absl::string_view, absl::string_view> kOtherNames[] = {
    {"services/specs/", "services"}, {"services/endpoints/", "endpoints"},
    {"minions/", "nodes"},           {"controllers/", "replicationcontrollers"},
    {"ingress/", "ingresses"},
};

}  // namespace

std::string RootOf(absl::string_view prefix) {
  for (const absl::string_view root :
       {kUsualRoot, absl::string_view("/kubernetes.io/"), absl::string_view("/openshift.io/")}) {
    if (absl::StartsWith(prefix, root)) return std::string(root);
  }
  const std::size_t last = prefix.rfind('/');
  if (last == absl::string_view::npos || last == 0) return std::string(kUsualRoot);
  return std::string(prefix.substr(0, last + 1));
}

std::string ResourceOf(absl::string_view key, absl::string_view root) {
  if (!absl::ConsumePrefix(&key, root)) return "(elsewhere)";
  for (const auto& [folder, resource] : kOtherNames) {
    if (absl::StartsWith(key, folder)) return std::string(resource);
  }
  const std::vector<absl::string_view> parts = absl::StrSplit(key, absl::MaxSplits('/', 2));
  if (parts.size() == 3 && absl::StrContains(parts[0], '.')) {
    return Printable(absl::StrCat(parts[1], ".", parts[0]), kLongest);
  }
  return parts[0].empty() ? "(elsewhere)" : Printable(parts[0], kLongest);
}

}  // namespace okms::audit
