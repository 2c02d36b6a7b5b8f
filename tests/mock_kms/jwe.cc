// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "mock_kms/jwe.h"

#include <openssl/sha.h>

#include <array>
#include <cstdint>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "mock_kms/aes_gcm.h"
#include "mock_kms/base64.h"
#include "mock_kms/random.h"

namespace okms::test {
namespace {

using nlohmann::json;

// RFC 7518 section 5.3 wants exactly these.
constexpr std::size_t kIvSize = 12;
constexpr std::size_t kTagSize = 16;

absl::Status Bad(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("JWE: ", why));
}

json Header(std::size_t key_size, const JweBinding& binding) {
  json header{
      {"alg", "dir"}, {"enc", absl::StrCat("A", key_size * 8, "GCM")}, {"kid", binding.kid}};
  if (binding.context) {
    std::array<uint8_t, SHA256_DIGEST_LENGTH> hash{};
    const ByteView context = AsBytes(*binding.context);
    SHA256(context.data(), context.size(), hash.data());
    header["context"] = Base64Url(hash);
  }
  return header;
}

}  // namespace

absl::StatusOr<std::string> JweEncrypt(ByteView key, const JweBinding& binding,
                                       ByteView plaintext) {
  const std::string header = Base64Url(AsBytes(Header(key.size(), binding).dump()));
  const std::string iv = RandomBytes(kIvSize);
  const auto encrypted = GcmEncrypt(key, AsBytes(iv), AsBytes(header), plaintext, kTagSize);
  if (!encrypted) return Bad("AES-GCM refuses this key");
  return absl::StrCat(header, "..", Base64Url(AsBytes(iv)), ".",
                      Base64Url(AsBytes(encrypted->data)), ".", Base64Url(AsBytes(encrypted->tag)));
}

absl::StatusOr<std::string> JweDecrypt(ByteView key, const JweBinding& binding,
                                       absl::string_view jwe) {
  const std::vector<std::string> parts = absl::StrSplit(jwe, '.');
  if (parts.size() != 5) return Bad("it has not five parts");
  if (!parts[1].empty()) return Bad("an encrypted key, although the key is direct");
  const auto header = FromBase64Url(parts[0]);
  const auto iv = FromBase64Url(parts[2]);
  const auto data = FromBase64Url(parts[3]);
  const auto tag = FromBase64Url(parts[4]);
  if (!header || !iv || !data || !tag) return Bad("a part is no base64url");
  // All or nothing: a header with more in it than ours (a "crit", a "zip") asks for what is not
  // done here.
  if (json::parse(*header, nullptr, /*allow_exceptions=*/false) != Header(key.size(), binding)) {
    return Bad("the header is for another key, algorithm or context");
  }
  if (iv->size() != kIvSize || tag->size() != kTagSize) return Bad("IV or tag of a wrong size");
  auto plaintext = GcmDecrypt(key, AsBytes(*iv), AsBytes(parts[0]), AsBytes(*data), AsBytes(*tag));
  if (!plaintext) return Bad("the tag does not fit");
  return *std::move(plaintext);
}

}  // namespace okms::test
