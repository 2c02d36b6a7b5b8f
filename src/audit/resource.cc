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

constexpr char kElsewhere[] = "(elsewhere)";

// The first two parts, so that what others keep in etcd is not one with what another kube-apiserver
// has encrypted there.
std::string FolderOf(absl::string_view key) {
  const std::size_t root = key.find('/', 1);
  const std::size_t folder = root == absl::string_view::npos ? root : key.find('/', root + 1);
  if (folder == absl::string_view::npos) return kElsewhere;
  return Printable(key.substr(0, folder), kLongest);
}

}  // namespace

std::string RootOf(absl::string_view prefix) {
  for (const absl::string_view root :
       {kUsualRoot, absl::string_view("/kubernetes.io/"), absl::string_view("/openshift.io/")}) {
    if (absl::StartsWith(prefix, root)) return std::string(root);
  }
  std::size_t end = prefix.find(kUsualRoot);
  end = end == absl::string_view::npos ? prefix.find('/', 1) : end + kUsualRoot.size() - 1;
  if (end == absl::string_view::npos) return std::string(kUsualRoot);
  return std::string(prefix.substr(0, end + 1));
}

std::string ResourceOf(absl::string_view key, absl::string_view root) {
  if (!absl::ConsumePrefix(&key, root)) return FolderOf(key);
  for (const auto& [folder, resource] : kOtherNames) {
    if (absl::StartsWith(key, folder)) return std::string(resource);
  }
  const std::vector<absl::string_view> parts = absl::StrSplit(key, absl::MaxSplits('/', 2));
  if (parts.size() == 3 && absl::StrContains(parts[0], '.')) {
    return Printable(absl::StrCat(parts[1], ".", parts[0]), kLongest);
  }
  return parts[0].empty() ? kElsewhere : Printable(parts[0], kLongest);
}

}  // namespace okms::audit
