// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What kube-apiserver's --encryption-provider-config is to be, so that the plugin comes to encrypt
// and nothing that is stored becomes unreadable on the way.

#ifndef OKMS_CTL_ENCRYPTION_PLAN_H_
#define OKMS_CTL_ENCRYPTION_PLAN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace okms::ctl {

struct EncryptionPlan {
  enum class Step {
    kReaders,  // who wrote goes on; the plugin is second, and reads
    kWriter,   // the plugin writes, the others read
    kOnly,     // nobody else reads
  };
  std::string name;
  std::string endpoint;  // unix:///path or unix:///@name
  std::string timeout;
  std::vector<std::string> resources;  // none: what `from` encrypts, without that secrets
  std::string from;                    // the configuration of before; empty: nothing was encrypted
  Step step = Step::kWriter;
};

struct EncryptionText {
  std::string yaml;
  std::string json;
  bool holds_keys = false;  // those of aescbc, aesgcm or secretbox, which are secrets
  std::string caution;      // what must have been done before it is used; empty: nothing
};

// That of the kms provider of this name in the configuration `from`; empty: there is none.
std::string EndpointOf(const std::string& name, const std::string& from);

// Errors: kInvalidArgument, one line, which begins with the option.
absl::StatusOr<EncryptionText> WriteEncryptionConfig(const EncryptionPlan& plan);

}  // namespace okms::ctl

#endif  // OKMS_CTL_ENCRYPTION_PLAN_H_
