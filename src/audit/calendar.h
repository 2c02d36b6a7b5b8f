// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Revisions have no time in etcd. But whatever is in plain text says when it was created, and was
// at its create_revision; so what was written between two such lies between their times.

#ifndef OKMS_AUDIT_CALENDAR_H_
#define OKMS_AUDIT_CALENDAR_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "absl/time/time.h"
#include "audit/envelope.h"
#include "audit/store.h"

namespace okms::audit {

// Not before `from`, nor after `to`; nothing: unknown.
struct Between {
  std::optional<absl::Time> from;
  std::optional<absl::Time> to;
};

class Calendar {
 public:
  static constexpr std::size_t kMostEras = 4096;  // at two entries each

  // Reads the creationTimestamp of what is in plain text. Whatever else it is, is no error.
  void Add(const StoredValue& value, Kind kind);
  void Add(std::int64_t revision, absl::Time time);

  // Makes ready for When, once all is added. Objects that were copied from another cluster have
  // times that do not rise with their revisions: those in the way of most others are left out, and
  // with too many of them nothing is known.
  void Settle();
  Between When(std::int64_t revision) const;
  std::size_t entries() const { return settled_.size(); }

 private:
  struct Entry {
    std::int64_t revision = 0;
    absl::Time time;

    bool operator==(const Entry&) const = default;
    bool operator<(const Entry& other) const {
      return std::tie(revision, time) < std::tie(other.revision, other.time);
    }
  };
  // Those at the ends of 2^era_bits_ revisions, so that those of no time push out another's.
  struct Era {
    Entry first;
    Entry last;
  };

  void Insert(const Era& era);

  int era_bits_ = 0;
  std::map<std::int64_t, Era> eras_;  // by revision >> era_bits_
  std::vector<Entry> settled_;
};

// When the object says that it was created. The value of a key, protobuf or JSON, as it stands in
// etcd.
std::optional<absl::Time> CreationTime(absl::string_view value, Kind kind);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_CALENDAR_H_
