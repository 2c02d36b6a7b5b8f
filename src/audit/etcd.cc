// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/etcd.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "audit/etcd_client.h"
#include "audit/etcd_history.h"
#include "base/status.h"

namespace okms::audit {
namespace {

constexpr std::int64_t kFirstPage = 500;  // values
constexpr std::int64_t kLargestPage = 5000;
constexpr std::size_t kPageBytes = 4 << 20;  // about
constexpr int kRounds = 5;

// As many as fit the size of those that came; more by and by, for the next may be larger.
std::int64_t NextPage(std::int64_t page, std::size_t bytes, int values) {
  const std::size_t each = std::max<std::size_t>(bytes / static_cast<std::size_t>(values), 1);
  const auto fit = static_cast<std::int64_t>(kPageBytes / each);
  return std::clamp<std::int64_t>(fit, 1, std::min(2 * page, kLargestPage));
}

class EtcdStore final : public Store {
 public:
  explicit EtcdStore(EtcdClient client) : client_(std::move(client)) {}

  absl::StatusOr<Extent> Open(const Scope& scope) override {
    scope_ = scope;
    etcdserverpb::RangeRequest request;
    request.set_key(StartOfPrefix(scope.prefix));
    request.set_range_end(EndOfPrefix(scope.prefix));
    request.set_count_only(true);
    OKMS_ASSIGN_OR_RETURN(const etcdserverpb::RangeResponse response, client_.Range(request, 1));
    extent_ = {};
    extent_.revision = response.header().revision();
    extent_.total = static_cast<std::uint64_t>(std::max<std::int64_t>(response.count(), 0));
    extent_.line = absl::StrCat("etcd at ", client_.endpoint());
    if (scope.history) {
      OKMS_ASSIGN_OR_RETURN(extent_.compacted, CompactedRevision(client_, scope.prefix));
    }
    return extent_;
  }

  absl::Status Read(OnValue on_value) override {
    std::int64_t newest = 0;
    OKMS_RETURN_IF_ERROR(ReadLive([&](const StoredValue& value) {
      newest = std::max(newest, value.mod_revision);
      return on_value(value);
    }));
    if (!scope_.history) return absl::OkStatus();
    return ReadHistory(client_, {scope_.prefix, extent_.compacted, extent_.revision, newest},
                       on_value);
  }

 private:
  absl::Status ReadLive(OnValue on_value) {
    etcdserverpb::RangeRequest request;
    request.set_key(StartOfPrefix(scope_.prefix));
    request.set_range_end(EndOfPrefix(scope_.prefix));
    request.set_revision(extent_.revision);
    request.set_limit(kFirstPage);
    while (true) {
      absl::StatusOr<etcdserverpb::RangeResponse> page = client_.Range(request, kRounds);
      if (absl::IsResourceExhausted(page.status()) && request.limit() > 1) {
        request.set_limit(request.limit() / 2);
        continue;
      }
      if (!page.ok()) return page.status();
      for (const mvccpb::KeyValue& kv : page->kvs()) {
        if (kv.key() < request.key()) {  // as in pages that have no end
          return client_.Explain({grpc::StatusCode::DATA_LOSS, "keys not in their order"});
        }
        OKMS_RETURN_IF_ERROR(on_value(
            {kv.key(), kv.value(), kv.create_revision(), kv.mod_revision(), Standing::kLive}));
        request.set_key(absl::StrCat(kv.key(), absl::string_view("\0", 1)));
      }
      if (!page->more() || page->kvs().empty()) return absl::OkStatus();
      request.set_limit(NextPage(request.limit(), page->ByteSizeLong(), page->kvs_size()));
    }
  }

  EtcdClient client_;
  Scope scope_;
  Extent extent_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenEtcd(const EtcdOptions& options) {
  OKMS_ASSIGN_OR_RETURN(EtcdClient client, EtcdClient::Create(options));
  return std::make_unique<EtcdStore>(std::move(client));
}

}  // namespace okms::audit
