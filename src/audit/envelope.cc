// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/envelope.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "audit/wire.h"
#include "base/status.h"
#include "base/utf8.h"
#include "core/limits.h"

namespace okms::audit {
namespace {

constexpr absl::string_view kEncrypted = "k8s:enc:";
constexpr absl::string_view kProtobufMagic("k8s\0", 4);
constexpr absl::string_view kCborMagic = "\xd9\xd9\xf7";  // RFC 8949, 3.4.6
constexpr std::size_t kLongestName = 1024;
constexpr std::size_t kShownName = 100;
constexpr std::size_t kShownData = 4;  // bytes: enough to know a file's magic by

constexpr std::size_t kInfo = 32;  // what each object adds to a seed
constexpr std::size_t kGcm = 12 + 16;
constexpr std::size_t kBlock = 16;
constexpr std::size_t kBox = 24 + 16;

struct Provider {
  absl::string_view prefix;
  Kind kind;
};
constexpr Provider kProviders[] = {
    {"k8s:enc:kms:v2:", Kind::kKmsV2},           {"k8s:enc:kms:v1:", Kind::kKmsV1},
    {"k8s:enc:aescbc:v1:", Kind::kAesCbc},       {"k8s:enc:aesgcm:v1:", Kind::kAesGcm},
    {"k8s:enc:secretbox:v1:", Kind::kSecretbox},
};

// Of protobuf: two fields of a map's entry. As of any message, the last of each counts.
bool ReadAnnotation(absl::string_view entry, Envelope& envelope) {
  absl::string_view name;
  absl::string_view value;
  const bool whole = ForEachField(entry, [&](const Field& field) {
    if (field.is_bytes && field.number == 1) name = field.bytes;
    if (field.is_bytes && field.number == 2) value = field.bytes;
  });
  envelope.annotations.insert_or_assign(name, value);
  return whole && IsUtf8(name);
}

// Each of these is why it cannot be read; nothing: it can. kube-apiserver refuses the same.
std::string ReadKmsV2(absl::string_view message, Envelope& envelope) {
  absl::string_view data;
  std::uint64_t type = 0;
  bool annotations = true;
  const bool whole = ForEachField(message, [&](const Field& field) {
    if (!field.is_bytes) {
      if (field.number == 5) type = field.varint;
      return;
    }
    switch (field.number) {
      case 1: data = field.bytes; return;
      case 2: envelope.key_id = field.bytes; return;
      case 3: envelope.encrypted_dek = field.bytes; return;
      case 4: annotations = ReadAnnotation(field.bytes, envelope) && annotations; return;
      default: return;
    }
  });
  if (!whole) return "the message is cut or damaged";
  if (!annotations) return "an annotation is damaged";
  if (envelope.key_id.empty()) return "no key id";
  if (envelope.key_id.size() > kMaxKeyIdSize) return "the key id is too long";
  if (!IsUtf8(envelope.key_id)) return "the key id is no text";
  if (envelope.encrypted_dek.empty()) return "no encrypted seed";
  if (envelope.encrypted_dek.size() > kMaxCiphertextSize) return "the encrypted seed is too long";
  if (type > 1) return "the seed is of an unknown type";
  envelope.dek_source = type == 0 ? DekSource::kAesGcmKey : DekSource::kHkdfSeed;
  if (data.size() < kGcm + (type == 0 ? 0 : kInfo)) return "the data is cut";

  std::string all;  // those of a map have no order, but in ours
  for (const auto& [name, value] : envelope.annotations) {
    absl::StrAppend(&all, name.size(), ":", name, value.size(), ":", value);
  }
  envelope.seed =
      DigestOf({type == 0 ? "key" : "seed", envelope.key_id, envelope.encrypted_dek, all});
  return "";
}

std::string ReadKmsV1(absl::string_view rest, Envelope& envelope) {
  if (rest.size() < 2) return "the value is cut";
  const auto byte = [rest](std::size_t at) { return static_cast<std::uint8_t>(rest[at]); };
  const std::size_t size = static_cast<std::size_t>(byte(0)) << 8 | byte(1);
  if (size == 0) return "no encrypted key";
  if (rest.size() < 2 + size + kGcm) return "the value is cut";
  envelope.dek_source = DekSource::kAesGcmKey;
  envelope.encrypted_dek = rest.substr(2, size);
  envelope.seed = DigestOf({"v1", envelope.name, envelope.encrypted_dek});
  return "";
}

std::string ReadBytes(std::size_t size, Kind kind) {
  bool whole = true;
  if (kind == Kind::kAesCbc) whole = size >= 2 * kBlock && size % kBlock == 0;
  if (kind == Kind::kAesGcm) whole = size >= kGcm;
  if (kind == Kind::kSecretbox) whole = size >= kBox;
  return whole ? "" : "the data is cut";
}

std::string ReadAs(Kind kind, absl::string_view rest, Envelope& envelope) {
  const std::size_t end = rest.substr(0, kLongestName + 1).find(':');
  if (end == absl::string_view::npos) return "the provider's name has no end";
  if (end == 0) return "the provider has no name";
  envelope.name = Printable(rest.substr(0, end), kShownName);
  rest.remove_prefix(end + 1);
  if (kind == Kind::kKmsV2) return ReadKmsV2(rest, envelope);
  if (kind == Kind::kKmsV1) return ReadKmsV1(rest, envelope);
  return ReadBytes(rest.size(), kind);
}

// "k8s:enc:newer:v1:key:", as far as it looks like such.
std::string ShownPrefix(absl::string_view value) {
  const absl::string_view start = value.substr(0, kShownName);
  const auto end = std::find_if_not(start.begin(), start.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains(":._-", c);
  });
  const std::size_t last =
      start.substr(0, static_cast<std::size_t>(end - start.begin())).rfind(':');
  return std::string(start.substr(0, last + 1));
}

Envelope Malformed(absl::string_view prefix, const std::string& name, std::string wrong) {
  Envelope envelope;
  envelope.kind = Kind::kMalformed;
  envelope.name = absl::StrCat(prefix, name, name.empty() ? "" : ":");
  envelope.wrong = std::move(wrong);
  return envelope;
}

}  // namespace

absl::string_view ToString(Kind kind) {
  switch (kind) {
    case Kind::kKmsV2: return "kms v2";
    case Kind::kKmsV1: return "kms v1";
    case Kind::kAesCbc: return "aescbc";
    case Kind::kAesGcm: return "aesgcm";
    case Kind::kSecretbox: return "secretbox";
    case Kind::kUnknownProvider: return "unknown provider";
    case Kind::kProtobuf: return "plain protobuf";
    case Kind::kJson: return "plain json";
    case Kind::kCbor: return "plain cbor";
    case Kind::kUnknown: return "unknown";
    case Kind::kMalformed: return "malformed";
  }
  return "unknown";
}

bool IsPlain(Kind kind) {
  return kind == Kind::kProtobuf || kind == Kind::kJson || kind == Kind::kCbor;
}

bool IsEncrypted(Kind kind) { return !IsPlain(kind) && kind != Kind::kUnknown; }

Envelope ReadEnvelope(absl::string_view value) {
  Envelope envelope;
  for (const Provider& provider : kProviders) {
    if (!absl::StartsWith(value, provider.prefix)) continue;
    envelope.kind = provider.kind;
    std::string wrong = ReadAs(provider.kind, value.substr(provider.prefix.size()), envelope);
    if (wrong.empty()) return envelope;
    return Malformed(provider.prefix, envelope.name, std::move(wrong));
  }
  if (absl::StartsWith(value, kEncrypted)) {
    envelope.kind = Kind::kUnknownProvider;
    envelope.name = ShownPrefix(value);
  } else if (absl::StartsWith(value, kProtobufMagic)) {
    envelope.kind = Kind::kProtobuf;
  } else if (absl::StartsWith(value, "{")) {
    envelope.kind = Kind::kJson;
  } else if (absl::StartsWith(value, kCborMagic)) {
    envelope.kind = Kind::kCbor;
  } else {
    envelope.name = value.empty() ? "(empty)" : absl::CHexEscape(value.substr(0, kShownData));
  }
  return envelope;
}

}  // namespace okms::audit
