// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/resource_name.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "doctor/shown_text.h"

namespace okms::ctl {
namespace {

using Parts = std::pair<absl::string_view, absl::string_view>;  // resource, group; core: ""

Parts Split(absl::string_view name) { return absl::StrSplit(name, absl::MaxSplits('.', 1)); }

// All of the core group's that are stored. Others are in a group, so that the name alone is nobody.
bool IsCore(absl::string_view resource) {
  static constexpr std::array<absl::string_view, 14> kCore{"configmaps",
                                                           "endpoints",
                                                           "events",
                                                           "limitranges",
                                                           "namespaces",
                                                           "nodes",
                                                           "persistentvolumeclaims",
                                                           "persistentvolumes",
                                                           "pods",
                                                           "podtemplates",
                                                           "replicationcontrollers",
                                                           "resourcequotas",
                                                           "secrets",
                                                           "serviceaccounts"};
  return resource == "services" || std::find(kCore.begin(), kCore.end(), resource) != kCore.end();
}

bool IsName(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return absl::ascii_islower(byte) || absl::ascii_isdigit(byte) || c == '-' || c == '.';
  });
}

// What is wrong with it, and what to do; empty: nothing.
std::string WrongWith(absl::string_view name) {
  const auto [resource, group] = Split(name);
  if (name == "*") return "write '*.' for all of the core group, or '*.*' for all there is";
  if (group == "*" && resource != "*") return "no resource is in several groups; write its own";
  if ((resource != "*" && !IsName(resource)) || (group != "*" && !IsName(group)) ||
      resource.empty()) {
    return "is no name of a resource; write it as secrets or widgets.example.com, in small letters";
  }
  if (group == "events.k8s.io") return "is stored as events; write that";
  if (group == "extensions") return "that group is gone; write the one that took its place";
  if (group.empty() && resource != "*" && !IsCore(resource)) {
    return "is not in the core group; write the plural and the group: deployments.apps";
  }
  return "";
}

// As kube-apiserver sees it: "*.*" is beside nothing, a wildcard beside none of its group.
bool Overlap(const std::string& one, const std::string& other) {
  return Covers(one, other) || Covers(other, one);
}

}  // namespace

bool Covers(absl::string_view one, absl::string_view other) {
  const auto [resource, group] = Split(one);
  const auto [other_resource, other_group] = Split(other);
  if (resource == "*" && group == "*") return true;
  return group == other_group && (resource == "*" || resource == other_resource);
}

absl::Status CheckResources(const std::vector<std::string>& resources, absl::string_view what) {
  for (std::size_t i = 0; i < resources.size(); ++i) {
    const std::string begin = absl::StrCat(what, " ", doctor::ShownValue(resources[i]), ": ");
    if (const std::string wrong = WrongWith(resources[i]); !wrong.empty()) {
      return absl::InvalidArgumentError(begin + wrong);
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (!Overlap(resources[i], resources[j])) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          begin, "overlaps with ", resources[j], ", which kube-apiserver refuses; leave one out"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::set<std::string>> ParseResources(absl::string_view text) {
  std::set<std::string> resources;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const absl::string_view resource = absl::StripAsciiWhitespace(part);
    if (absl::StrContains(resource, '*')) {
      return absl::InvalidArgumentError(
          absl::StrCat(Printable(resource),
                       ": no wildcards here; name each resource, as in "
                       "secrets,widgets.example.com"));
    }
    if (!resource.empty()) resources.emplace(resource);
  }
  return resources;
}

}  // namespace okms::ctl
