// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/etcd_history.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "audit/etcd_watch.h"
#include "base/deadline.h"
#include "base/status.h"

namespace okms::audit {
namespace {

constexpr std::size_t kMostFailures = 5;  // of each endpoint, without an event between
constexpr std::chrono::seconds kBetweenFailures{1};
constexpr int kLonger = 6;  // etcd collects a thousand revisions before it sends the first

// An end by etcd itself.
absl::Status Canceled(const EtcdClient& client, const etcdserverpb::WatchResponse& response) {
  if (response.compact_revision() > 0) {
    return client.Explain({grpc::StatusCode::OUT_OF_RANGE, ""});
  }
  const std::string& reason = response.cancel_reason();
  const bool denied = absl::StrContains(reason, "ermission");
  return client.Explain({denied ? grpc::StatusCode::PERMISSION_DENIED : grpc::StatusCode::UNKNOWN,
                         absl::StrCat("watch: ", reason)});
}

absl::Status Ended(const EtcdClient& client, const EtcdWatch& watch) {
  if (!watch.status().ok()) return client.Explain(watch.status());
  return client.Explain({grpc::StatusCode::UNAVAILABLE, "it ended the watch"});
}

// It answers, and that is all: a member that is cut off from its cluster does so, too.
absl::Status DoesNotGetOn(const EtcdClient& client) {
  return absl::DeadlineExceededError(
      absl::StrCat("etcd at ", client.endpoint(),
                   ": its watch does not get on: see that the cluster is healthy"));
}

// How far the events have come.
class Reader {
 public:
  Reader(const EtcdClient& client, const History& history, OnValue on_value)
      : client_(client),
        history_(history),
        on_value_(on_value),
        at_(history.compacted + 1),
        seen_(history.compacted) {}

  std::int64_t at() const { return at_; }

  // From one stream, begun at at(). OK: all is read. `patience`: with one that does not get on.
  absl::Status ReadAll(EtcdWatch& watch, std::chrono::milliseconds patience, bool& advanced) {
    again_ = 0;
    std::int64_t reached = 0;
    Deadline stuck = Clock::now() + patience;
    while (const etcdserverpb::WatchResponse* const response = watch.Next()) {
      if (response->canceled()) return Canceled(client_, *response);
      bool gets_on = false;
      for (const mvccpb::Event& event : response->events()) {
        if (event.kv().mod_revision() > history_.until) return absl::OkStatus();
        OKMS_RETURN_IF_ERROR(Take(event, gets_on));
      }
      advanced = advanced || gets_on;
      const bool caught_up = response->events().empty() && !response->created() &&
                             response->header().revision() >= history_.until;
      if (caught_up && seen_ >= history_.newest) {
        return absl::OkStatus();
      }
      const std::int64_t revision = std::min(response->header().revision(), history_.until);
      if (gets_on || revision > reached) {
        stuck = Clock::now() + patience;
      } else if (Expired(stuck)) {
        return DoesNotGetOn(client_);
      }
      reached = std::max(reached, revision);
    }
    return Ended(client_, watch);
  }

 private:
  // Those of a revision come in an order, so a new stream begins with the ones that were taken.
  absl::Status Take(const mvccpb::Event& event, bool& is_new) {
    const std::int64_t revision = event.kv().mod_revision();
    if (revision < at_) return absl::OkStatus();
    seen_ = revision;
    if (revision > at_) {
      at_ = revision;
      taken_ = again_ = 0;
    }
    if (++again_ <= taken_) return absl::OkStatus();
    ++taken_;
    is_new = true;
    if (event.has_prev_kv()) {
      const mvccpb::KeyValue& old = event.prev_kv();
      return on_value_({old.key(), old.value(), old.create_revision(), old.mod_revision(),
                        Standing::kOldRevision});
    }
    const bool first = event.type() == mvccpb::Event::PUT && event.kv().version() <= 1;
    if (first) return absl::OkStatus();
    return client_.Explain({grpc::StatusCode::OUT_OF_RANGE, ""});
  }

  const EtcdClient& client_;
  const History& history_;
  OnValue on_value_;
  std::int64_t at_;        // the revision of the last event, or the first one that may come
  std::int64_t seen_;      // of the last event
  std::size_t taken_ = 0;  // of its events
  std::size_t again_ = 0;  // of them, how many this stream has sent
};

}  // namespace

absl::StatusOr<std::int64_t> CompactedRevision(EtcdClient& client, absl::string_view prefix) {
  absl::Status failure;
  for (std::size_t tried = 0; tried < client.endpoints(); ++tried) {
    EtcdWatch watch(client, prefix, 1, client.patience());
    const etcdserverpb::WatchResponse* response = watch.Next();
    if (response != nullptr && response->created() && !response->canceled()) {
      response = watch.Next();
    }
    if (response != nullptr) {
      if (!response->canceled()) return 0;
      if (response->compact_revision() > 0) return response->compact_revision();
      return Canceled(client, *response);
    }
    failure = Ended(client, watch);
    if (!MayBeElsewhere(failure)) break;
    client.UseNext();
  }
  return failure;
}

absl::Status ReadHistory(EtcdClient& client, const History& history, OnValue on_value) {
  // Of what is still to come etcd never says that it has sent all.
  if (history.until <= history.compacted) return absl::OkStatus();
  Reader reader(client, history, on_value);
  const std::size_t most = kMostFailures * client.endpoints();
  for (std::size_t failures = 1;; ++failures) {
    const std::chrono::milliseconds patience = kLonger * client.patience();
    EtcdWatch watch(client, history.prefix, reader.at(), patience);
    bool advanced = false;
    absl::Status status = reader.ReadAll(watch, patience, advanced);
    if (advanced) failures = 0;
    if (!MayBeElsewhere(status) || failures >= most) return status;
    client.UseNext();
    if (failures > client.endpoints()) std::this_thread::sleep_for(kBetweenFailures);
  }
}

}  // namespace okms::audit
