// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What kube-apiserver has put around one value in etcd.

#ifndef OKMS_AUDIT_ENVELOPE_H_
#define OKMS_AUDIT_ENVELOPE_H_

#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "audit/digest.h"

namespace okms::audit {

enum class Kind {
  kKmsV2,
  kKmsV1,
  kAesCbc,
  kAesGcm,
  kSecretbox,
  kUnknownProvider,  // encrypted, by one that this program does not know
  kProtobuf,         // in plain text, as are the next two
  kJson,
  kCbor,
  kUnknown,    // nothing that kube-apiserver writes
  kMalformed,  // begins as if encrypted by a known provider, and cannot be read by it
};

// "kms v2", "plain protobuf"; never empty.
absl::string_view ToString(Kind kind);

bool IsPlain(Kind kind);
bool IsEncrypted(Kind kind);  // whether or not it can be read: kMalformed and kUnknownProvider, too

enum class DekSource {
  kAesGcmKey,  // a key for this object
  kHkdfSeed,   // a seed, from which each object has a key: one Decrypt reads many
};

// The views are into the value. What no field names is empty.
struct Envelope {
  Kind kind = Kind::kUnknown;
  // The provider's name of KMS, the key's of a local provider: of encryption-provider-config.
  // Printable and bounded. For kUnknownProvider, kUnknown and kMalformed what the value begins
  // with, as far as it is no data.
  std::string name;
  std::string wrong;  // kMalformed: why, "no key id"

  // Of KMS v2, as Decrypt needs them.
  absl::string_view key_id;
  std::map<absl::string_view, absl::string_view> annotations;
  DekSource dek_source = DekSource::kHkdfSeed;
  // Of both versions: the seed or the key, as the KMS has encrypted it.
  absl::string_view encrypted_dek;

  // What a kube-apiserver that starts must have decrypted once, and then knows: equal for all
  // objects of one seed. Of KMS alone; of v1 it is by object.
  std::optional<Digest> seed;
};

// Never fails: what cannot be read is kMalformed, or kUnknown. Copies no data, decrypts nothing.
// Tolerates what kube-apiserver tolerates (fields that nobody knows, any order).
Envelope ReadEnvelope(absl::string_view value);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_ENVELOPE_H_
