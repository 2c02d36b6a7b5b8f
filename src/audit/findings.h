// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What somebody may conclude from a survey.

#ifndef OKMS_AUDIT_FINDINGS_H_
#define OKMS_AUDIT_FINDINGS_H_

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "audit/survey.h"

namespace okms::audit {

// What the caller wants to hold.
struct Demands {
  // Whatever is encrypted is under this key id, or the one with this hash; empty: not asked for.
  std::string key;
  bool no_plaintext = false;
  std::set<std::string> no_plaintext_of;  // resources; none: MustBeEncrypted decides
  std::optional<absl::Duration> round_trip;
};

struct Finding {
  std::string id;      // stable: "plaintext"
  bool wrong = false;  // it is against a demand, or wrong in any case
  std::string line;
  std::vector<std::string> objects;  // keys in etcd, the first few
};

// In the order in which they should be read. What is wrong comes first.
std::vector<Finding> FindingsOf(const Survey& survey, const Demands& demands);

// Those of which a live value is encrypted, and secrets.
std::set<std::string> MustBeEncrypted(const Tally& tally);

// "12 secrets", "1 of secrets", "3 old revisions of secrets", "1 value of secrets on freed pages".
std::string Values(Standing standing, std::uint64_t count, absl::string_view resource);

// "key 1 is of two providers, a and b: those may be two keys"
std::string OfSeveral(absl::string_view key_id, const std::set<std::string>& providers);

// "2026-01-02 03:05" of any time after 03:04: what was before that time was before that minute.
std::string MinuteAfter(absl::Time time);

// ", written between 2026-01-02 03:04 and 2026-02-03 04:05 UTC", as far as it is known; else empty.
std::string Written(const Between& between);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_FINDINGS_H_
