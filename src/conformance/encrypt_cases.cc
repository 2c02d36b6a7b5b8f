// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <array>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "conformance/cases.h"
#include "conformance/target.h"
#include "core/limits.h"

namespace okms::conformance {
namespace {

// What has been encrypted with it, as one text.
std::string AllOf(const Record& record) {
  std::string all = record.ciphertext;
  for (const auto& [name, value] : record.annotations) absl::StrAppend(&all, "\n", name, value);
  return all;
}

bool Same(const Record& one, const Record& other) {
  return one.ciphertext == other.ciphertext && one.key_id == other.key_id &&
         one.annotations == other.annotations;
}

}  // namespace

Verdict LookAtEncrypt(Target& target) {
  const auto record = target.client().Encrypt(NewPlaintext(kSeedSize));
  return record.ok() ? Kept() : Broken(Words(record.status()));
}

Verdict LookAtCiphertext(Target& target) {
  const auto record = target.client().Encrypt(NewPlaintext(kSeedSize));
  if (!record.ok()) return Broken(Words(record.status()));
  if (record->ciphertext.empty()) return Broken("the ciphertext is empty");
  if (record->ciphertext.size() <= kMaxCiphertextSize) return Kept();
  return Broken(absl::StrCat("the ciphertext has ", record->ciphertext.size(), " bytes"));
}

Verdict LookAtEncryptKeyId(Target& target) {
  const auto status = target.client().Status();
  if (!status.ok()) return Broken(Words(status.status()));
  const auto record = target.client().Encrypt(NewPlaintext(kSeedSize));
  if (!record.ok()) return Broken(Words(record.status()));
  if (record->key_id == status->key_id) return Kept();
  return Broken(absl::StrCat("Status says \"", Printable(status->key_id), "\", Encrypt \"",
                             Printable(record->key_id), "\""));
}

Verdict LookAtAnnotationNames(Target& target) {
  const auto record = target.client().Encrypt(NewPlaintext(kSeedSize));
  if (!record.ok()) return Broken(Words(record.status()));
  for (const auto& annotation : record->annotations) {
    if (IsFullyQualifiedDomainName(annotation.first)) continue;
    return Broken(absl::StrCat("an annotation is called \"", Printable(annotation.first), "\""));
  }
  return Kept();
}

Verdict LookAtAnnotationSize(Target& target) {
  const auto record = target.client().Encrypt(NewPlaintext(kSeedSize));
  if (!record.ok()) return Broken(Words(record.status()));
  std::size_t size = 0;
  for (const auto& [name, value] : record->annotations) size += name.size() + value.size();
  if (size <= kMaxAnnotationsSize) return Kept();
  return Broken(absl::StrCat("the annotations have ", size, " bytes"));
}

Verdict LookAtDistinctRecords(Target& target) {
  const auto one = target.client().Encrypt(NewPlaintext(kSeedSize));
  const auto other = target.client().Encrypt(NewPlaintext(kSeedSize));
  if (!one.ok() || !other.ok()) return Broken(Words(one.ok() ? other.status() : one.status()));
  return Same(*one, *other) ? Broken("two plaintexts have the same record") : Kept();
}

Verdict LookAtRepetition(Target& target) {
  const std::string plaintext = NewPlaintext(kSeedSize);
  const auto one = target.client().Encrypt(plaintext);
  const auto other = target.client().Encrypt(plaintext);
  if (!one.ok() || !other.ok()) return Broken(Words(one.ok() ? other.status() : one.status()));
  return one->ciphertext == other->ciphertext ? Broken("the same plaintext, the same ciphertext")
                                              : Kept();
}

Verdict LookForThePlaintext(Target& target) {
  const std::string plaintext = NewPlaintext(kSeedSize);
  const auto record = target.client().Encrypt(plaintext);
  if (!record.ok()) return Broken(Words(record.status()));
  const std::string all = AllOf(*record);
  // A part is bad enough. Base64 of 15 bytes from the start is a part of that of the whole.
  const std::string part = plaintext.substr(0, 15);
  const auto found = [&](const std::string& text) {
    return absl::StrContains(all, text) ||
           absl::StrContains(all, std::string(text.rbegin(), text.rend()));
  };
  if (found(part)) return Broken("the plaintext stands in the record");
  for (const std::string& text :
       {absl::BytesToHexString(part), absl::Base64Escape(part), absl::WebSafeBase64Escape(part)}) {
    if (absl::StrContains(all, text)) return Broken("the plaintext stands in the record, encoded");
  }
  return Kept();
}

Verdict LookAtSizes(Target& target) {
  constexpr std::array<std::size_t, 10> kSizes{1, 16, 31, 33, 64, 256, 960, 1008, 1025, 65536};
  for (const std::size_t size : kSizes) {
    const std::string plaintext = NewPlaintext(size);
    const auto record = target.client().Encrypt(plaintext);
    if (absl::IsDeadlineExceeded(record.status())) {
      return Broken(absl::StrCat(size, " bytes: Encrypt: ", Words(record.status())));
    }
    if (!record.ok()) continue;  // no size but a seed's must be taken
    const auto back = target.client().Decrypt(*record);
    if (back.ok() && *back != plaintext) {
      return Broken(
          absl::StrCat(size, " bytes were encrypted, and ", back->size(), " others decrypted"));
    }
    // A ciphertext beyond the bound is none that the apiserver would have stored.
    if (!back.ok() && record->ciphertext.size() <= kMaxCiphertextSize) {
      return Broken(absl::StrCat(
          size, " bytes were encrypted, and cannot be decrypted: ", Words(back.status())));
    }
  }
  return Kept();
}

Verdict LookAtUids(Target& target) {
  const std::vector<std::pair<std::string, std::string>> uids{
      {"an empty one", ""},
      {"one of 4096 bytes", std::string(4096, 'u')},
      {"one with line breaks and a NUL byte", std::string("a\nb\r\n\0c\x1b[31m", 12)},
      {"one of other letters", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x94\x91"},
      {"one with a format", "%s%n%d{}${HOME}"}};
  for (const auto& [what, uid] : uids) {
    const std::string plaintext = NewPlaintext(kSeedSize);
    const auto record = target.client().Encrypt(plaintext, uid);
    if (!record.ok()) return Broken(absl::StrCat(what, ": Encrypt: ", Words(record.status())));
    const auto back = target.client().Decrypt(*record, uid);
    if (!back.ok()) return Broken(absl::StrCat(what, ": Decrypt: ", Words(back.status())));
    if (*back != plaintext) return Broken(absl::StrCat(what, ": decrypted to something else"));
  }
  return Kept();
}

}  // namespace okms::conformance
