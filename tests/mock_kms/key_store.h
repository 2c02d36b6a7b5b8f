// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The keys of the mock KMS: the same ones over KMIP and over REST.

#ifndef OKMS_TESTS_MOCK_KMS_KEY_STORE_H_
#define OKMS_TESTS_MOCK_KMS_KEY_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/guarded.h"
#include "kmip/enums.h"

namespace okms::test {

struct MockKey {
  std::string id;
  std::string name;
  std::string material;  // 16, 24 or 32 bytes
  kmip::ObjectType object_type = kmip::ObjectType::kSymmetricKey;
  kmip::State state = kmip::State::kActive;
  kmip::CryptographicAlgorithm algorithm = kmip::CryptographicAlgorithm::kAes;
  int32_t usage_mask = kmip::kUsageEncrypt | kmip::kUsageDecrypt;
};

// Takes "id=..,name=..,state=Active,usage=encrypt+decrypt,bits=256,material=HEX", all but the id
// optional; without material it is random. Errors: kInvalidArgument.
absl::StatusOr<MockKey> ParseMockKey(absl::string_view text);

// Thread-safe. Everything comes out as a copy: a key may change at any time.
class KeyStore {
 public:
  // Adds a key or replaces the one of that id.
  void Put(MockKey key);
  void Remove(const std::string& id);

  std::optional<MockKey> Find(absl::string_view id) const;
  // For ids that are UUIDs, whose letters may be of either case.
  std::optional<MockKey> FindIgnoringCase(absl::string_view id) const;
  // In the order of their ids.
  std::vector<MockKey> List() const;

 private:
  using Keys = std::map<std::string, MockKey, std::less<>>;
  Guarded<Keys> keys_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_KEY_STORE_H_
