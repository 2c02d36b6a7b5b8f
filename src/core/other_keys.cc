// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/other_keys.h"

#include "absl/strings/str_cat.h"

namespace okms {

bool OtherKeys::Count(absl::string_view key_id, absl::string_view in_use) {
  if (in_use != in_use_) {
    in_use_ = std::string(in_use);
    met_.clear();
  }
  auto found = counts_.by_key.find(key_id);
  if (found == counts_.by_key.end() && counts_.by_key.size() < kMostKeys) {
    found = counts_.by_key.emplace(key_id, 0).first;
  }
  const bool counted = found != counts_.by_key.end();
  ++(counted ? found->second : counts_.rest);
  return met_.emplace(counted ? key_id : "").second;
}

std::string OtherKeys::Counts::Summary(absl::string_view in_use) const {
  std::uint64_t decrypts = rest;
  std::size_t keys = 0;
  for (const auto& [id, count] : by_key) {
    if (id == in_use) continue;  // it was another one's before it was ours
    decrypts += count;
    ++keys;
  }
  if (decrypts == 0) return "";
  return absl::StrCat(decrypts, decrypts == 1 ? " Decrypt" : " Decrypts", " under ",
                      rest > 0 ? "more than " : "", keys, keys == 1 ? " other key" : " other keys");
}

}  // namespace okms
