// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/snapshot.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/numeric/int128.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "audit/bbolt_file.h"
#include "audit/etcd_record.h"
#include "audit/freed_pages.h"
#include "audit/sha256.h"
#include "audit/snapshot_file.h"
#include "base/secret.h"
#include "base/status.h"

namespace okms::audit {
namespace {

// Keys by 128 bits of their SHA-256: nobody who names objects can make two look like one.
class KeySet {
 public:
  // Whether it was not there.
  bool Add(absl::string_view key) {
    sha256_.Add(AsBytes(key));
    const Sha256Digest digest = sha256_.Take();
    absl::uint128 hash;
    std::memcpy(&hash, digest.data(), sizeof hash);
    return hashes_.insert(hash).second;
  }

 private:
  Sha256 sha256_;
  absl::flat_hash_set<absl::uint128> hashes_;
};

// Of what was passed on, the newest first.
using Revisions = std::vector<EtcdRevision>;

// Records of any key, each once.
class RecordSet {
 public:
  // Whether it was not there.
  bool Add(const EtcdRecord& record) {
    return revisions_.emplace(record.revision.main, record.revision.sub).second;
  }
  std::size_t size() const { return revisions_.size(); }

 private:
  absl::flat_hash_set<std::pair<std::int64_t, std::int64_t>> revisions_;
};

// What the bucket `meta` tells, as far as it does.
struct Compactions {
  std::int64_t finished = 0;
  std::int64_t scheduled = 0;
};

class Snapshot final : public Store {
 public:
  explicit Snapshot(BboltFile bbolt) : bbolt_(std::move(bbolt)) {}

  absl::StatusOr<Extent> Open(const Scope& scope) override;
  absl::Status Read(OnValue on_value) override;

 private:
  using OnRecord = absl::FunctionRef<absl::Status(const EtcdRecord&, Standing)>;
  using OnElsewhere = absl::FunctionRef<void(const EtcdRecord&)>;

  absl::StatusOr<Extent> Examine();
  absl::StatusOr<Compactions> ReadCompactions(const Bucket& meta);
  bool IsInScope(const EtcdRecord& record) const {
    return !record.key.empty() && absl::StartsWith(record.key, scope_.prefix);
  }
  // Of the scope, the newest first; `last` becomes the newest revision of all.
  absl::Status ForEachRecord(PageSet& used, std::int64_t& last, OnRecord on_record,
                             OnElsewhere on_elsewhere);
  absl::Status ReadTree(OnValue on_value, Revisions& passed);
  absl::Status ReadFreed(OnValue on_value, const Revisions& passed);
  // What was damaged while it was written is no damage.
  absl::Status Judge(const absl::Status& status) const;

  BboltFile bbolt_;
  Scope scope_;
  std::optional<Bucket> keys_;
  PageSet used_;  // by any bucket
  std::size_t values_ = 0;
};

StoredValue Value(const EtcdRecord& record, Standing standing) {
  return {record.key, record.value, record.create_revision, record.revision.main, standing};
}

absl::StatusOr<Extent> Snapshot::Open(const Scope& scope) {
  scope_ = scope;
  auto extent = Examine();
  const absl::Status status = Judge(extent.status());
  if (status.ok()) return extent;
  keys_.reset();
  return status;
}

absl::StatusOr<Extent> Snapshot::Examine() {
  const SnapshotFile& file = bbolt_.file();
  OKMS_RETURN_IF_ERROR(file.CheckDigest());
  OKMS_ASSIGN_OR_RETURN(used_, bbolt_.FixedPages());
  std::optional<Bucket> keys;
  Compactions compactions;
  const auto look = [&](const LeafElement& element) -> absl::Status {
    OKMS_ASSIGN_OR_RETURN(Bucket bucket, bbolt_.SubBucket(element));
    const absl::string_view name = AsText(element.key);
    if (name != "meta" && name != "key") return bbolt_.MarkAll(bucket, used_);
    if (name == "key") {
      keys = std::move(bucket);
    } else {
      OKMS_ASSIGN_OR_RETURN(compactions, ReadCompactions(bucket));
    }
    return absl::OkStatus();
  };
  OKMS_RETURN_IF_ERROR(bbolt_.Walk(bbolt_.Root(), used_, look));
  if (!keys) {
    return file.Unfit("has no bucket `key`: another program's, or of an etcd that never had API 3");
  }
  keys_ = std::move(keys);
  values_ = 0;
  Extent extent;
  extent.line = absl::StrCat(file.name(), file.has_digest() ? "" : " (without a digest)");
  extent.whole = file.has_digest();
  RecordSet elsewhere;
  const auto is_elsewhere = [&](const EtcdRecord& record) {
    if (!record.tombstone && absl::StartsWith(record.value, "k8s:enc:")) elsewhere.Add(record);
  };
  OKMS_RETURN_IF_ERROR(ForEachRecord(
      used_, extent.revision,
      [&](const EtcdRecord&, Standing standing) {
        extent.total += standing == Standing::kLive ? 1 : 0;
        ++values_;
        return absl::OkStatus();
      },
      is_elsewhere));
  if (scope_.history) {
    OKMS_RETURN_IF_ERROR(ForEachFreed(bbolt_, used_, [&](const LeafElement& element) {
      const std::optional<EtcdRecord> record = ParseRecord(element);
      if (record && !IsInScope(*record)) is_elsewhere(*record);
      return absl::OkStatus();
    }));
  }
  extent.elsewhere = elsewhere.size();
  extent.compacted = compactions.finished;
  // A compaction may have taken the newest, if that was a deletion. An empty etcd begins with 1.
  extent.revision =
      std::max({extent.revision, compactions.finished, compactions.scheduled, std::int64_t{1}});
  return extent;
}

absl::StatusOr<Compactions> Snapshot::ReadCompactions(const Bucket& meta) {
  Compactions compactions;
  const auto read = [&](const LeafElement& element) -> absl::Status {
    const bool finished = AsText(element.key) == "finishedCompactRev";
    if (!finished && AsText(element.key) != "scheduledCompactRev") return absl::OkStatus();
    const std::optional<EtcdRevision> revision = ParseRevision(element.value);
    if (!revision) return bbolt_.file().Damaged("its last compaction has no revision");
    (finished ? compactions.finished : compactions.scheduled) = revision->main;
    return absl::OkStatus();
  };
  OKMS_RETURN_IF_ERROR(bbolt_.Walk(meta, used_, read));
  return compactions;
}

absl::Status Snapshot::ForEachRecord(PageSet& used, std::int64_t& last, OnRecord on_record,
                                     OnElsewhere on_elsewhere) {
  KeySet keys;
  std::optional<EtcdRevision> before;
  const auto damaged = [&](absl::string_view what) {
    return bbolt_.file().Damaged(absl::StrCat(
        "its ", before ? absl::StrCat("record before revision ", before->main) : "last record",
        what));
  };
  return bbolt_.Walk(*keys_, used, [&](const LeafElement& element) -> absl::Status {
    const std::optional<EtcdRecord> record = ParseRecord(element);
    if (!record) return damaged(" is none of etcd's");
    if (before && record->revision >= *before) return damaged(" is a later one");
    before = record->revision;
    last = std::max(last, record->revision.main);
    if (!IsInScope(*record)) {
      on_elsewhere(*record);
      return absl::OkStatus();
    }
    const bool newest = keys.Add(record->key);
    if (record->tombstone) return absl::OkStatus();
    return on_record(*record, newest ? Standing::kLive : Standing::kOldRevision);
  });
}

absl::Status Snapshot::Read(OnValue on_value) {
  if (!keys_) return absl::FailedPreconditionError("a store is opened before it is read");
  Revisions passed;
  if (scope_.history) passed.reserve(values_);
  absl::Status status = ReadTree(on_value, passed);
  if (status.ok() && scope_.history) status = ReadFreed(on_value, passed);
  return Judge(status);
}

absl::Status Snapshot::ReadTree(OnValue on_value, Revisions& passed) {
  PageSet used(bbolt_.page_count());
  std::int64_t last = 0;
  return ForEachRecord(
      used, last,
      [&](const EtcdRecord& record, Standing standing) {
        if (scope_.history) passed.push_back(record.revision);
        const bool wanted = scope_.history || standing == Standing::kLive;
        return wanted ? on_value(Value(record, standing)) : absl::OkStatus();
      },
      [](const EtcdRecord&) {});
}

absl::Status Snapshot::ReadFreed(OnValue on_value, const Revisions& passed) {
  RecordSet freed;
  return ForEachFreed(bbolt_, used_, [&](const LeafElement& element) {
    const std::optional<EtcdRecord> record = ParseRecord(element);
    const bool wanted = record && !record->tombstone && IsInScope(*record);
    if (!wanted ||
        std::binary_search(passed.begin(), passed.end(), record->revision, std::greater<>()) ||
        !freed.Add(*record)) {
      return absl::OkStatus();
    }
    return on_value(Value(*record, Standing::kFreedPage));
  });
}

absl::Status Snapshot::Judge(const absl::Status& status) const {
  if (!status.ok() && !absl::IsDataLoss(status)) return status;
  const absl::Status unchanged = bbolt_.file().CheckUnchanged();
  return unchanged.ok() ? status : unchanged;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenSnapshot(const std::string& path) {
  OKMS_ASSIGN_OR_RETURN(SnapshotFile file, SnapshotFile::Open(path));
  OKMS_ASSIGN_OR_RETURN(BboltFile bbolt, BboltFile::Open(std::move(file)));
  return std::make_unique<Snapshot>(std::move(bbolt));
}

}  // namespace okms::audit
