// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Any bytes as an etcd snapshot: it is refused, or read to the end, each value once.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <boost/endian/conversion.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "audit/snapshot.h"
#include "base/unique_fd.h"
#include "fuzz/require.h"

namespace okms::audit {
namespace {

// Makes the checksum of a meta right, or nothing a fuzzer changes would be looked at.
void Mend(std::vector<std::uint8_t>& bytes, std::size_t page) {
  constexpr std::size_t kSize = 56;
  if (page > bytes.size() || bytes.size() - page < 16 + kSize + 8) return;
  std::uint8_t* const meta = bytes.data() + page + 16;
  std::uint64_t hash = 0xCBF29CE484222325;
  for (std::size_t i = 0; i < kSize; ++i) hash = (hash ^ meta[i]) * 0x100000001B3;
  boost::endian::store_little_u64(meta + kSize, hash);
}

// The live keys.
std::set<std::string> Read(Store& store, const Scope& scope, const Extent& extent) {
  std::set<std::string> live;
  std::string copy;
  const absl::Status status = store.Read([&](const StoredValue& value) {
    OKMS_REQUIRE(absl::StartsWith(value.key, scope.prefix));
    OKMS_REQUIRE(value.create_revision > 0 && value.create_revision <= value.mod_revision);
    if (value.standing == Standing::kLive) OKMS_REQUIRE(live.insert(std::string(value.key)).second);
    if (value.standing != Standing::kFreedPage) OKMS_REQUIRE(value.mod_revision <= extent.revision);
    OKMS_REQUIRE(scope.history || value.standing == Standing::kLive);
    copy = std::string(value.value);  // so that a sanitizer sees each byte read
    return absl::OkStatus();
  });
  OKMS_REQUIRE(status.ok());  // it was opened, so all of it has been read before
  OKMS_REQUIRE(live.size() == extent.total);
  return live;
}

void Check(const std::vector<std::uint8_t>& bytes) {
  const UniqueFd file(::memfd_create("fuzz", MFD_CLOEXEC));
  OKMS_REQUIRE(file && ::write(file.get(), bytes.data(), bytes.size()) ==
                           static_cast<ssize_t>(bytes.size()));
  const auto store = OpenSnapshot(absl::StrCat("/proc/self/fd/", file.get()));
  if (!store.ok()) return;
  const Scope with_history{.history = true};
  const auto extent = (*store)->Open(with_history);
  if (!extent.ok()) return;
  const std::set<std::string> live = Read(**store, with_history, *extent);
  const auto again = (*store)->Open({});
  OKMS_REQUIRE(again.ok() && again->total == extent->total);
  OKMS_REQUIRE(Read(**store, {}, *again) == live);
}

}  // namespace
}  // namespace okms::audit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::uint8_t> bytes(data, data + size);
  okms::audit::Check(bytes);
  okms::audit::Mend(bytes, 0);
  if (size > 28) okms::audit::Mend(bytes, boost::endian::load_little_u32(data + 24));
  okms::audit::Check(bytes);
  return 0;
}
