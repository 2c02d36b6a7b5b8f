// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "mock_kms/key_store.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "mock_kms/random.h"

namespace okms::test {

absl::StatusOr<MockKey> ParseMockKey(absl::string_view text) {
  const auto bad = [&](auto... why) {
    return absl::InvalidArgumentError(absl::StrCat("key \"", text, "\": ", why...));
  };
  MockKey key;
  unsigned bits = 256;
  for (const absl::string_view field : absl::StrSplit(text, ',')) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(field, absl::MaxSplits('=', 1));
    const auto& [name, value] = pair;
    if (name == "id") {
      key.id = value;
    } else if (name == "name") {
      key.name = value;
    } else if (name == "bits") {
      if (!absl::SimpleAtoi(value, &bits)) return bad("bits is no number");
    } else if (name == "material") {
      key.material = absl::HexStringToBytes(value);
    } else if (name == "usage") {
      key.usage_mask = (value.find("encrypt") != std::string::npos ? kmip::kUsageEncrypt : 0) |
                       (value.find("decrypt") != std::string::npos ? kmip::kUsageDecrypt : 0);
    } else if (name == "state") {
      bool known = false;
      for (uint32_t state = 1; state <= 6; ++state) {
        if (ToString(static_cast<kmip::State>(state)) != value) continue;
        key.state = static_cast<kmip::State>(state);
        known = true;
      }
      if (!known) return bad("no state ", value);
    } else {
      return bad("no field ", name, "; id, name, bits, material, usage, state");
    }
  }
  if (key.id.empty()) return bad("the id is missing");
  if (key.material.empty()) key.material = RandomBytes(bits / 8);
  if (key.material.size() != 16 && key.material.size() != 24 && key.material.size() != 32) {
    return bad("an AES key has 128, 192 or 256 bits");
  }
  return key;
}

void KeyStore::Put(MockKey key) {
  keys_.With([&](Keys& keys) {
    const std::string id = key.id;
    keys[id] = std::move(key);
  });
}

void KeyStore::Remove(const std::string& id) {
  keys_.With([&](Keys& keys) { keys.erase(id); });
}

std::optional<MockKey> KeyStore::Find(absl::string_view id) const {
  return keys_.With([&](const Keys& keys) -> std::optional<MockKey> {
    const auto found = keys.find(id);
    return found == keys.end() ? std::nullopt : std::optional(found->second);
  });
}

std::optional<MockKey> KeyStore::FindIgnoringCase(absl::string_view id) const {
  if (std::optional<MockKey> exact = Find(id)) return exact;
  return keys_.With([&](const Keys& keys) -> std::optional<MockKey> {
    for (const auto& [each, key] : keys) {
      if (absl::EqualsIgnoreCase(each, id)) return key;
    }
    return std::nullopt;
  });
}

std::vector<MockKey> KeyStore::List() const {
  return keys_.With([](const Keys& keys) {
    std::vector<MockKey> list;
    list.reserve(keys.size());
    for (const auto& [id, key] : keys) list.push_back(key);
    return list;
  });
}

}  // namespace okms::test
