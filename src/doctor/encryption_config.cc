// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/encryption_config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "config/nearest.h"
#include "doctor/shown_text.h"

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

bool HasList(const YAML::Node& parent, const char* key) {
  if (!parent.IsMap()) return false;
  const YAML::Node node = parent[key];
  return node && node.IsSequence();
}

using Names = std::vector<std::string>;
using Field = EncryptionConfig::Field;

// The map that fields are in.
struct Place {
  std::string path;
  bool of_keys = false;  // what stands there in the place of a name may be a key, whatever its form
};

std::string Inside(const std::string& path, const std::string& name) {
  return absl::StrCat(path, path.empty() ? "" : ".", name);
}

// "name" and "secret": " that is neither name nor secret".
std::string NoneOf(const Names& known) {
  if (known.empty()) return ", which has none";
  if (known.size() == 1) return absl::StrCat(" that is not ", known.front());
  if (known.size() == 2) return absl::StrCat(" that is neither ", absl::StrJoin(known, " nor "));
  return absl::StrCat(" that is none of ", absl::StrJoin(known, ", "));
}

Field Unknown(const YAML::Node& name, const Place& place, const Names& known) {
  const std::string& text = name.Scalar();
  const std::string likeness = Nearest(text, known);
  const bool shown = !place.of_keys && IsFieldName(text);
  Field field;
  field.line = name.Mark().line + 1;
  field.what = shown ? absl::StrCat("unknown field \"", Inside(place.path, text), "\"")
                     : absl::StrCat("a field of ", place.path.empty() ? "the file" : place.path,
                                    NoneOf(known));
  field.remedy = !likeness.empty() ? absl::StrCat("did you mean ", likeness, "?")
                 : shown           ? "take it out"
                                   : "is there a blank behind the colon?";
  return field;
}

// Fields of a map that have none of these names (pkg/apis/apiserver/v1/types_encryption.go of
// k8s.io/apiserver), which is case-sensitive, or one that another has. What is no map is somebody
// else's to refuse.
void LookAtFields(const YAML::Node& map, const Place& place, const Names& known,
                  EncryptionConfig& config) {
  if (!map.IsMap()) return;
  std::set<std::string> seen;
  for (const auto& field : map) {
    const std::string& name = field.first.Scalar();
    // What YAML itself merges in there (`<<: *NAME`) are fields of elsewhere.
    if (name == "<<") continue;
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      config.wrong.push_back(Unknown(field.first, place, known));
    } else if (!seen.insert(name).second) {
      config.wrong.push_back({field.first.Mark().line + 1,
                              absl::StrCat("duplicate field \"", Inside(place.path, name), "\""),
                              "make one of them"});
    }
  }
}

void LookAtProvider(const YAML::Node& node, const std::string& path, EncryptionConfig& config) {
  LookAtFields(node, {path}, {"aesgcm", "aescbc", "secretbox", "identity", "kms"}, config);
  const std::string kind = node.begin()->first.Scalar();
  const YAML::Node value = node.begin()->second;
  const std::string inside = absl::StrCat(path, ".", kind);
  if (kind == "kms") {
    LookAtFields(value, {inside}, {"apiVersion", "name", "cachesize", "endpoint", "timeout"},
                 config);
  } else if (kind == "identity") {
    LookAtFields(value, {inside}, {}, config);
  } else if (kind == "aesgcm" || kind == "aescbc" || kind == "secretbox") {
    LookAtFields(value, {inside, /*of_keys=*/true}, {"keys"}, config);
    if (!HasList(value, "keys")) return;
    for (std::size_t i = 0; i < value["keys"].size(); ++i) {
      LookAtFields(value["keys"][i], {absl::StrCat(inside, ".keys[", i, "]"), /*of_keys=*/true},
                   {"name", "secret"}, config);
    }
  }
}

absl::StatusOr<EncryptionConfig::Provider> ReadProvider(const YAML::Node& node) {
  if (!node.IsMap() || node.size() != 1) {
    return Bad(node.Mark(), "each entry of providers is one provider: its kind and a colon");
  }
  EncryptionConfig::Provider provider;
  provider.line = node.Mark().line + 1;
  provider.kind = ShownName(node.begin()->first.Scalar());
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
    return Bad(root.Mark(), absl::StrCat("kind is ", kind.empty() ? "missing" : ShownName(kind),
                                         ", not ", kKind));
  }
  if (!HasList(root, "resources") || root["resources"].size() == 0) {
    return Bad(root.Mark(), "has no list of resources");
  }
  EncryptionConfig config;
  LookAtFields(root, {}, {"apiVersion", "kind", "resources"}, config);
  for (const YAML::Node& node : root["resources"]) {
    const std::string path = absl::StrCat("resources[", config.entries.size(), "]");
    EncryptionConfig::Entry& entry = config.entries.emplace_back();
    if (!HasList(node, "resources") || !HasList(node, "providers")) {
      return Bad(node.Mark(), "an entry needs a list of resources and a list of providers");
    }
    LookAtFields(node, {path}, {"resources", "providers"}, config);
    for (const YAML::Node& resource : node["resources"]) {
      if (resource.IsScalar()) entry.resources.push_back(resource.Scalar());
    }
    for (const YAML::Node& provider : node["providers"]) {
      const std::size_t place = entry.providers.size();
      OKMS_ASSIGN_OR_RETURN(entry.providers.emplace_back(), ReadProvider(provider));
      LookAtProvider(provider, absl::StrCat(path, ".providers[", place, "]"), config);
    }
  }
  return config;
}

}  // namespace

absl::StatusOr<EncryptionConfig> ParseEncryptionConfig(const std::string& text) {
  try {
    return Read(YAML::Load(text));
  } catch (const YAML::Exception& error) {
    // What follows a colon is of the file.
    const std::string why = error.msg.substr(0, error.msg.find(':'));
    return Bad(error.mark, absl::StrCat("is no YAML: ", Printable(why)));
  }
}

}  // namespace okms::doctor
