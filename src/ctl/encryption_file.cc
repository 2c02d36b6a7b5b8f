// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/encryption_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "ctl/resource_name.h"
#include "doctor/encryption_config.h"
#include "doctor/shown_text.h"

namespace okms::ctl {
namespace {

using Value = EncryptionFile::Value;

constexpr char kCacheSize[] = "cachesize";  // the one field that is a number
constexpr char kKeys[] = "keys";            // and the one that is a list

absl::Status Bad(const YAML::Node& node, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("line ", node.Mark().line + 1, ": ", why));
}

absl::Status CheckMerges(const YAML::Node& map) {
  for (const auto& field : map) {
    if (field.first.Scalar() == "<<") {
      return Bad(field.first, "merges another map (<<); write it out");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Value> ReadFields(const YAML::Node& node, bool with_keys);

absl::StatusOr<Value> ReadField(const std::string& name, const YAML::Node& node, bool with_keys) {
  if (node.IsScalar() && name == kCacheSize) {
    int size = 0;
    if (!YAML::convert<int>::decode(node, size)) return Bad(node, "cachesize is no number");
    return Value(size);
  }
  if (node.IsScalar() && name != kKeys) return Value(node.Scalar());
  if (!with_keys || name != kKeys || !node.IsSequence()) {
    return Bad(node, absl::StrCat(doctor::ShownName(name), " is not what it should be"));
  }
  Value keys = Value::array();
  for (const YAML::Node& key : node) {
    OKMS_ASSIGN_OR_RETURN(Value fields, ReadFields(key, /*with_keys=*/false));
    for (const char* const wanted : {"name", "secret"}) {
      if (!fields.value(wanted, "").empty()) continue;
      return Bad(key, absl::StrCat("keys[", keys.size(), "] has no ", wanted,
                                   "; is there a blank behind the colon?"));
    }
    keys.push_back(std::move(fields));
  }
  return keys;
}

// name: text, and a list of such for "keys".
absl::StatusOr<Value> ReadFields(const YAML::Node& node, bool with_keys) {
  if (!node.IsMap()) return Bad(node, "has nothing in it; write {} where nothing is meant");
  OKMS_RETURN_IF_ERROR(CheckMerges(node));
  Value fields = Value::object();
  for (const auto& field : node) {
    const std::string& name = field.first.Scalar();
    OKMS_ASSIGN_OR_RETURN(fields[name], ReadField(name, field.second, with_keys));
  }
  return fields;
}

absl::StatusOr<EncryptionFile> Read(const YAML::Node& root) {
  EncryptionFile file;
  OKMS_RETURN_IF_ERROR(CheckMerges(root));
  for (const YAML::Node& node : root["resources"]) {
    EncryptionFile::Entry& entry = file.entries.emplace_back();
    OKMS_RETURN_IF_ERROR(CheckMerges(node));
    for (const YAML::Node& resource : node["resources"]) {
      if (!resource.IsScalar()) return Bad(node, "a resource is no text");
      entry.resources.push_back(resource.Scalar());
    }
    if (const absl::Status taken = CheckResources(entry.resources, "resource"); !taken.ok()) {
      return Bad(node["resources"], taken.message());
    }
    for (const YAML::Node& provider : node["providers"]) {
      OKMS_RETURN_IF_ERROR(CheckMerges(provider));
      const auto first = provider.begin();
      OKMS_ASSIGN_OR_RETURN(Value value, ReadFields(first->second, /*with_keys=*/true));
      entry.providers.push_back(
          {first->first.Scalar(), std::move(value), provider.Mark().line + 1});
    }
    if (entry.resources.empty() || entry.providers.empty()) {
      return Bad(node, "an entry without resources, or without providers");
    }
  }
  return file;
}

Value Document(const EncryptionFile& file) {
  Value entries = Value::array();
  for (const EncryptionFile::Entry& entry : file.entries) {
    Value providers = Value::array();
    for (const EncryptionFile::Provider& provider : entry.providers) {
      providers.push_back({{provider.kind, provider.value}});
    }
    entries.push_back({{"resources", entry.resources}, {"providers", std::move(providers)}});
  }
  return {{"apiVersion", "apiserver.config.k8s.io/v1"},
          {"kind", "EncryptionConfiguration"},
          {"resources", std::move(entries)}};
}

// Whether every reader of YAML takes it for text as it is; the emitter would write true and 1e3 so,
// too.
bool IsPlain(const std::string& text) {
  static constexpr std::array<absl::string_view, 9> kOthers{"true", "false", "yes", "no", "on",
                                                            "off",  "null",  "y",   "n"};
  const auto plain = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           absl::string_view("/._-+=:@").find(c) != absl::string_view::npos;
  };
  return !text.empty() && absl::ascii_isalpha(static_cast<unsigned char>(text.front())) &&
         text.back() != ':' && std::all_of(text.begin(), text.end(), plain) &&
         std::find(kOthers.begin(), kOthers.end(), absl::AsciiStrToLower(text)) == kOthers.end();
}

void Emit(const Value& value, YAML::Emitter& out) {
  if (value.is_object() && value.empty()) {
    out << YAML::Flow << YAML::BeginMap << YAML::EndMap;
  } else if (value.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [name, each] : value.items()) {
      out << YAML::Key << name << YAML::Value;
      Emit(each, out);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    out << YAML::BeginSeq;
    for (const Value& each : value) Emit(each, out);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (!IsPlain(text)) out << YAML::DoubleQuoted;
    out << text;
  } else {
    out << value.get<int>();
  }
}

}  // namespace

std::string EncryptionFile::Provider::Text(const char* field) const {
  const auto found = value.find(field);
  return found != value.end() && found->is_string() ? found->get<std::string>() : "";
}

absl::StatusOr<EncryptionFile> ReadEncryptionFile(const std::string& text) {
  // It says what is wrong with the shape and the fields, so that only what is in those is left.
  OKMS_ASSIGN_OR_RETURN(const auto config, doctor::ParseEncryptionConfig(text));
  if (!config.wrong.empty()) {
    const auto& field = config.wrong.front();
    return absl::InvalidArgumentError(
        absl::StrCat("line ", field.line, ": ", field.what, "; ", field.remedy));
  }
  try {
    return Read(YAML::Load(text));
  } catch (const YAML::Exception& error) {  // without what it says: that may quote a value
    return absl::InvalidArgumentError(absl::StrCat("line ", error.mark.line + 1, ": is no YAML"));
  }
}

std::string AsYaml(const EncryptionFile& file) {
  YAML::Emitter out;
  Emit(Document(file), out);
  return absl::StrCat(out.c_str(), "\n");
}

std::string AsJson(const EncryptionFile& file) { return Document(file).dump(2) + "\n"; }

}  // namespace okms::ctl
