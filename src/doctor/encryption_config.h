// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// kube-apiserver's --encryption-provider-config, as far as it concerns a KMS.

#ifndef OKMS_DOCTOR_ENCRYPTION_CONFIG_H_
#define OKMS_DOCTOR_ENCRYPTION_CONFIG_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace okms::doctor {

struct EncryptionConfig {
  struct Provider {
    int line = 0;      // of the file; the first one is 1
    std::string kind;  // "kms", "identity", "aescbc"; what can be none is not shown
    // Of kms alone; empty: not given.
    std::string name;
    std::string api_version;
    std::string endpoint;
    std::string timeout;
    bool cache_size = false;  // whether it is given
  };
  struct Entry {
    std::vector<std::string> resources;
    std::vector<Provider> providers;  // the first one encrypts, all of them decrypt
  };
  // With which kube-apiserver does not start.
  struct Field {
    int line = 0;
    std::string what;    // "unknown field "resources[0].providers[1].kms.cacheSize""
    std::string remedy;  // "did you mean cachesize?"
  };
  std::vector<Entry> entries;
  std::vector<Field> wrong;
};

// Takes YAML or JSON. Secrets of other providers, which may be in it, are not read;
// neither they nor what may be one are in any text that is made here. Errors: kInvalidArgument, one
// line that says where.
absl::StatusOr<EncryptionConfig> ParseEncryptionConfig(const std::string& text);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_ENCRYPTION_CONFIG_H_
