// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How many values there are of each resource, provider and key. Keeps numbers, digests and the
// first few names of objects; no value.

#ifndef OKMS_AUDIT_TALLY_H_
#define OKMS_AUDIT_TALLY_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "audit/digest.h"
#include "audit/envelope.h"
#include "audit/store.h"

namespace okms::audit {

// What values are counted by.
struct Group {
  Standing standing = Standing::kLive;
  std::string resource;  // ResourceOf
  Kind kind = Kind::kUnknown;
  std::string name;    // Envelope::name
  std::string key_id;  // of KMS v2; as it is: any bytes, 1,024 at the most
  std::string wrong;   // Envelope::wrong

  auto operator<=>(const Group&) const = default;
};

struct Count {
  std::uint64_t objects = 0;
  std::int64_t oldest = 0;  // the lowest mod_revision
  std::int64_t newest = 0;
  std::uint64_t seeds = 0;         // different ones in this group
  std::uint64_t number = 0;        // of the group, as it came
  std::vector<std::string> first;  // keys, the first few by name; printable
};

class Tally {
 public:
  static constexpr std::size_t kMostGroups = 20'000;  // what comes beyond is counted in Uncounted()
  static constexpr std::size_t kMostNames = 10;       // of Count::first

  // `prefix` of the Scope that is read.
  explicit Tally(absl::string_view prefix);

  void Add(const StoredValue& value, const Envelope& envelope);

  const std::map<Group, Count>& groups() const { return groups_; }
  // Different seeds of all live values: Decrypts of a kube-apiserver that starts.
  std::uint64_t live_seeds() const { return live_seeds_.size(); }
  std::uint64_t values() const { return values_; }
  std::uint64_t uncounted() const { return uncounted_; }

 private:
  std::string root_;
  std::map<Group, Count> groups_;
  absl::flat_hash_set<Digest> live_seeds_;
  absl::flat_hash_set<Digest> seeds_of_groups_;  // of the group and the seed
  std::uint64_t values_ = 0;
  std::uint64_t uncounted_ = 0;
};

}  // namespace okms::audit

#endif  // OKMS_AUDIT_TALLY_H_
