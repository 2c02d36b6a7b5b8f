// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// An EncryptionConfiguration with all that is in it, keys as well, to be read and written again.
// doctor/encryption_config.h has one without secrets, to be looked at.

#ifndef OKMS_CTL_ENCRYPTION_FILE_H_
#define OKMS_CTL_ENCRYPTION_FILE_H_

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"

namespace okms::ctl {

struct EncryptionFile {
  using Value = nlohmann::ordered_json;
  struct Provider {
    std::string kind;
    Value value;   // a map
    int line = 0;  // where it was read; 0: nowhere

    std::string Text(const char* field) const;  // empty: there is none
    bool operator==(const Provider& other) const {
      return kind == other.kind && value == other.value;
    }
  };
  struct Entry {
    std::vector<std::string> resources;
    std::vector<Provider> providers;
  };
  std::vector<Entry> entries;
};

// Takes YAML or JSON. Errors: kInvalidArgument, one line that says where, and never what a value
// is.
absl::StatusOr<EncryptionFile> ReadEncryptionFile(const std::string& text);

std::string AsYaml(const EncryptionFile& file);
std::string AsJson(const EncryptionFile& file);

}  // namespace okms::ctl

#endif  // OKMS_CTL_ENCRYPTION_FILE_H_
