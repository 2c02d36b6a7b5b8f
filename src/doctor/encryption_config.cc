// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/encryption_config.h"

#include <yaml-cpp/yaml.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms::doctor {
namespace {

constexpr char kKind[] = "EncryptionConfiguration";

absl::Status Bad(const YAML::Mark& mark, absl::string_view why) {
  return absl::InvalidArgumentError(
      mark.is_null() ? std::string(why) : absl::StrCat("line ", mark.line + 1, ": ", why));
}

std::string Text(const YAML::Node& parent, const char* key) {
  const YAML::Node node = parent[key];
  return node && node.IsScalar() ? node.Scalar() : "";
}

absl::StatusOr<EncryptionConfig::Provider> ReadProvider(const YAML::Node& node) {
  if (!node.IsMap() || node.size() != 1) {
    return Bad(node.Mark(), "each entry of providers is one provider: its kind and a colon");
  }
  EncryptionConfig::Provider provider;
  provider.line = node.Mark().line + 1;
  provider.kind = node.begin()->first.Scalar();
  const YAML::Node value = node.begin()->second;
  if (provider.kind != "kms") return provider;
  if (!value.IsMap()) return Bad(node.Mark(), "kms has no name and no endpoint; indent them");
  provider.name = Text(value, "name");
  provider.api_version = Text(value, "apiVersion");
  provider.endpoint = Text(value, "endpoint");
  provider.timeout = Text(value, "timeout");
  provider.cache_size = value["cachesize"].IsDefined();
  return provider;
}

absl::StatusOr<EncryptionConfig> Read(const YAML::Node& root) {
  if (!root.IsMap()) return Bad(root.Mark(), absl::StrCat("is no ", kKind));
  if (const std::string kind = Text(root, "kind"); kind != kKind) {
    return Bad(root.Mark(), absl::StrCat("kind is ", Printable(kind.empty() ? "missing" : kind),
                                         ", not ", kKind));
  }
  const YAML::Node entries = root["resources"];
  if (!entries || !entries.IsSequence() || entries.size() == 0) {
    return Bad(root.Mark(), "has no list of resources");
  }
  EncryptionConfig config;
  for (const YAML::Node& node : entries) {
    EncryptionConfig::Entry& entry = config.entries.emplace_back();
    if (!node.IsMap() || !node["resources"].IsSequence() || !node["providers"].IsSequence()) {
      return Bad(node.Mark(), "an entry needs a list of resources and a list of providers");
    }
    for (const YAML::Node& resource : node["resources"]) {
      if (resource.IsScalar()) entry.resources.push_back(resource.Scalar());
    }
    for (const YAML::Node& provider : node["providers"]) {
      OKMS_ASSIGN_OR_RETURN(entry.providers.emplace_back(), ReadProvider(provider));
    }
  }
  return config;
}

}  // namespace

absl::StatusOr<EncryptionConfig> ParseEncryptionConfig(const std::string& text) {
  try {
    return Read(YAML::Load(text));
  } catch (const YAML::Exception& error) {
    return Bad(error.mark, absl::StrCat("is no YAML: ", Printable(error.msg)));
  }
}

}  // namespace okms::doctor
