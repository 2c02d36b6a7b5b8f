// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Whether what stands in etcd could be read, as far as the plugin has to do with it.

#ifndef OKMS_AUDIT_PROOF_H_
#define OKMS_AUDIT_PROOF_H_

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "audit/findings.h"

namespace okms::audit {

// Seeds of one key that were refused for one reason.
struct Refusal {
  std::string key_id;
  std::string code;  // "NOT_FOUND"
  std::string line;  // of the first; printable
  std::uint64_t seeds = 0;
  std::uint64_t objects = 0;       // that need one of them
  std::vector<std::string> first;  // their keys in etcd, the first few; printable
};

struct Proof {
  std::string provider;                       // the one that was looked at; empty: all of KMS v2
  std::map<std::string, std::uint64_t> good;  // seeds that were unwrapped, by key id
  std::vector<Refusal> refused;               // by key id and code
  absl::Duration slowest = absl::ZeroDuration();  // of the good ones
  absl::Duration median = absl::ZeroDuration();

  std::uint64_t Good() const;
  std::uint64_t Seeds() const;  // different ones, all that were asked for
};

// What cannot be unwrapped is wrong, and so is that there is nothing to prove.
std::vector<Finding> FindingsOf(const Proof& proof);

// An object. It may be added to.
nlohmann::ordered_json AsJson(const Proof& proof);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_PROOF_H_
