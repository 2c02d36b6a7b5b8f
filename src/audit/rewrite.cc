// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/rewrite.h"

#include <algorithm>
#include <span>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace okms::audit {
namespace {

constexpr Version kMigrates{1, 37};  // storagemigration.k8s.io/v1

// Of the group "". Others without a dot are of a group that is not in etcd.
constexpr absl::string_view kCore[] = {
    "configmaps",
    "endpoints",
    "events",
    "limitranges",
    "namespaces",
    "nodes",
    "pods",
    "persistentvolumeclaims",
    "persistentvolumes",
    "secrets",
    "podtemplates",
    "replicationcontrollers",
    "resourcequotas",
    "services",
    "serviceaccounts",
};

// kube-apiserver's own, which it writes by itself.
constexpr absl::string_view kWithoutApi[] = {"masterleases", "peerserverleases", "ranges"};

bool Contains(std::span<const absl::string_view> names, absl::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool IsName(absl::string_view text) {
  return !text.empty() && absl::ascii_isalnum(static_cast<unsigned char>(text[0])) &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_islower(static_cast<unsigned char>(c)) ||
                  absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '-' || c == '.';
         });
}

std::string Manifest(absl::string_view resource, absl::string_view key_id_hash,
                     std::int64_t revision) {
  const std::size_t dot = resource.find('.');
  const absl::string_view name = resource.substr(0, dot);
  const absl::string_view group = dot == absl::string_view::npos ? "" : resource.substr(dot + 1);
  if (group.empty() && !Contains(kCore, name)) return "";
  absl::ConsumePrefix(&key_id_hash, "sha256:");
  return absl::StrCat(
      "apiVersion: storagemigration.k8s.io/v1\n"
      "kind: StorageVersionMigration\n"
      "metadata:\n"
      "  name: ",
      resource, "-", key_id_hash.substr(0, 8), "-", revision,
      "\n"
      "spec:\n"
      "  resource:\n"
      "    group: \"",
      group,
      "\"\n"
      "    resource: ",
      name, "\n");
}

}  // namespace

Rewrite RewriteOf(const std::string& resource, std::uint64_t objects, absl::string_view key_id_hash,
                  std::int64_t revision, const std::optional<Version>& kubernetes) {
  Rewrite rewrite{resource, objects, "", ""};
  if (!IsName(resource) || Contains(kWithoutApi, resource)) return rewrite;
  if (kubernetes && *kubernetes >= kMigrates) {
    rewrite.manifest = Manifest(resource, key_id_hash, revision);
  }
  rewrite.command = absl::StrCat("kubectl get ", resource, " -A -o json | kubectl replace -f -");
  return rewrite;
}

}  // namespace okms::audit
