// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which keys are still read with beside the one in use.

#ifndef OKMS_CORE_OTHER_KEYS_H_
#define OKMS_CORE_OTHER_KEYS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "absl/strings/string_view.h"

namespace okms {

// Counts Decrypts under keys that are not the one in use: those before it, and one that another
// control plane's plugin has adopted already. Bounded, whatever records come. Not thread-safe.
class OtherKeys {
 public:
  static constexpr std::size_t kMostKeys = 64;  // counted by their id

  struct Counts {
    std::map<std::string, std::uint64_t, std::less<>> by_key;
    std::uint64_t rest = 0;  // of all further keys

    // "12 Decrypts under 1 other key"; empty when there were none.
    std::string Summary(absl::string_view in_use) const;
  };

  // One more. Whether it is the first with that key (or with one of the rest) since `in_use` is the
  // key in use.
  bool Count(absl::string_view key_id, absl::string_view in_use);

  const Counts& counts() const { return counts_; }

 private:
  Counts counts_;
  std::string in_use_;
  std::set<std::string, std::less<>> met_;  // since then; "" stands for the rest
};

}  // namespace okms

#endif  // OKMS_CORE_OTHER_KEYS_H_
