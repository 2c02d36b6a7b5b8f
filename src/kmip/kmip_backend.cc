// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/kmip_backend.h"

#include <openssl/rand.h>

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "base/uuid.h"
#include "kmip/operations.h"

namespace okms::kmip {
namespace {

constexpr std::size_t kIvSize = 12;
constexpr std::size_t kTagSize = 16;
constexpr ProtocolVersion kFirstWithTagField{1, 4};

CryptographicParameters AesGcm() {
  return {.block_cipher_mode = BlockCipherMode::kGcm,
          .padding_method = {},
          .algorithm = CryptographicAlgorithm::kAes,
          .random_iv = {},
          .iv_length = int32_t{kIvSize},
          .tag_length = int32_t{kTagSize}};
}

// Whether the KMS means the key that we mean: it may write a UUID in another case.
bool IsKey(absl::string_view theirs, absl::string_view ours) {
  if (theirs == ours) return true;
  const std::optional<std::string> uuid = ParseUuid(ours);
  return uuid && ParseUuid(theirs) == uuid;
}

// The first thing that makes a key unfit. What the server left out is not held against it: the
// round trip that follows decides.
std::string Unfit(const GetAttributesResponse& key) {
  if (key.object_type && *key.object_type != ObjectType::kSymmetricKey) {
    return absl::StrCat("is no symmetric key (object type ",
                        static_cast<uint32_t>(*key.object_type), ")");
  }
  if (key.state && *key.state != State::kActive) {
    return absl::StrCat("is in state ", ToString(*key.state), ", not Active");
  }
  if (key.algorithm && *key.algorithm != CryptographicAlgorithm::kAes) {
    return absl::StrCat("is not an AES key (algorithm ", static_cast<uint32_t>(*key.algorithm),
                        ")");
  }
  if (key.length && *key.length != 128 && *key.length != 192 && *key.length != 256) {
    return absl::StrCat("has ", *key.length, " bits; AES has 128, 192 or 256");
  }
  if (key.usage_mask) {
    if ((*key.usage_mask & kUsageEncrypt) == 0) return "may not Encrypt by its usage mask";
    if ((*key.usage_mask & kUsageDecrypt) == 0) return "may not Decrypt by its usage mask";
  }
  return "";
}

absl::StatusOr<Located> LocateOn(Session& session, const std::string& label, Deadline deadline) {
  auto found =
      session.Call(LocateRequest{label, ObjectType::kSymmetricKey, State::kActive}, deadline);
  if (!found.ok() && session.usable() && !absl::IsPermissionDenied(found.status()) &&
      !absl::IsUnauthenticated(found.status())) {
    // Some servers cannot search by type and state; the attributes are checked anyway.
    found = session.Call(LocateRequest{label, {}, {}}, deadline);
  }
  if (absl::IsNotFound(found.status())) return Located();
  if (!found.ok()) return found.status();
  Located located;
  for (const absl::string_view id : found->unique_identifiers) {
    if (id.empty()) return absl::DataLossError("KMIP Locate: an empty key id");
    located.key_ids.emplace_back(id);
  }
  return located;
}

absl::StatusOr<KeyInfo> InspectOn(Session& session, const std::string& key_id, Deadline deadline) {
  GetAttributesRequest request{
      key_id,
      {attribute::kState, attribute::kObjectType, attribute::kCryptographicAlgorithm,
       attribute::kCryptographicLength, attribute::kCryptographicUsageMask, attribute::kName}};
  // OVHcloud's documented rights are encrypt, decrypt and locate only, and not every server knows
  // these attributes: one that refuses to show them may still serve.
  const auto hidden = [&](const absl::Status& status) {
    return !status.ok() && session.usable() && !absl::IsNotFound(status) &&
           !absl::IsUnauthenticated(status);
  };
  auto attributes = session.Call(request, deadline);
  if (hidden(attributes.status())) {
    request.names.pop_back();  // the name may be all that it refuses
    attributes = session.Call(request, deadline);
  }
  if (hidden(attributes.status())) return KeyInfo();
  if (!attributes.ok()) return attributes.status();
  if (!IsKey(attributes->unique_identifier, key_id)) {
    return absl::DataLossError(absl::StrCat("KMIP GetAttributes: the reply is about key ",
                                            Printable(attributes->unique_identifier), ", not ",
                                            Printable(key_id)));
  }
  KeyInfo info;
  info.unfit = Unfit(*attributes);
  info.active = attributes->state == State::kActive;
  // Servers leave out what they do not show. A key without any name has none to compare either.
  if (!attributes->names.empty())
    info.labels.emplace(attributes->names.begin(), attributes->names.end());
  return info;
}

// What can be said about a stored record without the KMS.
absl::Status CheckRecord(const Ciphertext& record) {
  const auto bad = [](auto... why) { return absl::InvalidArgumentError(absl::StrCat(why...)); };
  if (record.bytes.size() <= kTagSize) {
    return bad("the ciphertext has ", record.bytes.size(),
               " bytes; AES-GCM with its tag has at least ", kTagSize + 1);
  }
  for (const auto& [name, value] : record.annotations) {
    if (name == kAlgorithmAnnotation) {
      // The Go plugin takes an absent one for AES_GCM too.
      if (value != kAlgorithmAesGcm) {
        return bad("annotation ", kAlgorithmAnnotation, " is \"", Printable(value, 40), "\"; only ",
                   kAlgorithmAesGcm, " is supported");
      }
    } else if (name != kIvAnnotation) {
      return bad("unknown annotation \"", Printable(name, 80),
                 "\"; this record is not of this plugin, or of a later version");
    }
  }
  const auto iv = record.annotations.find(kIvAnnotation);
  if (iv == record.annotations.end()) return bad("annotation ", kIvAnnotation, " is missing");
  if (iv->second.size() != kIvSize) {
    return bad("annotation ", kIvAnnotation, " has ", iv->second.size(), " bytes; an IV has ",
               kIvSize);
  }
  return absl::OkStatus();
}

}  // namespace

void KmipBackend::Locate(const std::string& label, NextDeadline deadline, Done<Located> done) {
  checks_.Run<Located>(
      deadline(),
      [label](Session& session, Deadline until) { return LocateOn(session, label, until); },
      std::move(done));
}

void KmipBackend::Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) {
  checks_.Run<KeyInfo>(
      deadline,
      [key_id](Session& session, Deadline until) { return InspectOn(session, key_id, until); },
      std::move(done));
}

void KmipBackend::Encrypt(Way way, const std::string& key_id, Secret plaintext, Deadline deadline,
                          Done<Ciphertext> done) {
  Pool(way).Run<Ciphertext>(
      deadline,
      [this, key_id, plaintext = std::move(plaintext)](Session& session, Deadline until) {
        return EncryptOn(session, key_id, plaintext, until);
      },
      std::move(done));
}

absl::StatusOr<Ciphertext> KmipBackend::EncryptOn(Session& session, const std::string& key_id,
                                                  const Secret& plaintext, Deadline deadline) {
  std::array<uint8_t, kIvSize> random{};
  if (RAND_bytes(random.data(), random.size()) != 1) {
    return absl::InternalError(absl::StrCat("no random bytes: ", OpenSslErrors()));
  }
  OKMS_ASSIGN_OR_RETURN(const EncryptResponse reply,
                        session.Call(EncryptRequest{.unique_identifier = key_id,
                                                    .parameters = AesGcm(),
                                                    .data = plaintext.Reveal(),
                                                    .iv = random,
                                                    .additional_data = {}},
                                     deadline));
  const auto refuse = [](auto... why) {
    return absl::DataLossError(absl::StrCat("KMIP Encrypt: ", why...));
  };
  if (!IsKey(reply.unique_identifier.value_or(""), key_id)) {
    return refuse("the reply is about key ", Printable(reply.unique_identifier.value_or("(none)")),
                  ", not ", Printable(key_id));
  }
  const ByteView data = reply.data.value_or(ByteView());
  const ByteView tag = reply.tag.value_or(ByteView());
  if (data.size() + tag.size() != plaintext.size() + kTagSize) {
    // Some servers of KMIP 1.2 and 1.3 drop the tag. What they return could never be decrypted.
    return refuse("the KMS returned ", data.size() + tag.size(), " bytes for ", plaintext.size(),
                  "; with the GCM tag it must be ", plaintext.size() + kTagSize,
                  ". Nothing was stored. KMIP ", session.version().ToString(),
                  " of this KMS cannot carry the tag; it needs 1.4");
  }
  if (!tag.empty() && tag.size() != kTagSize) {
    return refuse("the tag has ", tag.size(), " bytes, not ", kTagSize);
  }
  // The IV that was really used; a server may choose its own.
  const ByteView iv = reply.iv && !reply.iv->empty() ? *reply.iv : ByteView(random);
  if (iv.size() != kIvSize) {
    return refuse("the KMS used an IV of ", iv.size(), " bytes, not ", kIvSize);
  }
  known_.tag_place_before_1_4 = tag.empty() ? TagPlace::kInData : TagPlace::kInField;
  return Ciphertext{
      absl::StrCat(AsText(data), AsText(tag)),
      {{kIvAnnotation, std::string(AsText(iv))}, {kAlgorithmAnnotation, kAlgorithmAesGcm}}};
}

void KmipBackend::Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext,
                          Deadline deadline, Done<Secret> done) {
  if (absl::Status status = CheckRecord(ciphertext); !status.ok()) {
    done(std::move(status));
    return;
  }
  Pool(way).Run<Secret>(
      deadline,
      [this, key_id, ciphertext = std::move(ciphertext)](Session& session, Deadline until) {
        return DecryptOn(session, key_id, ciphertext, until);
      },
      std::move(done));
}

absl::StatusOr<Secret> KmipBackend::DecryptOn(Session& session, const std::string& key_id,
                                              const Ciphertext& ciphertext, Deadline deadline) {
  const ByteView all = AsBytes(ciphertext.bytes);
  const ByteView iv = AsBytes(ciphertext.annotations.find(kIvAnnotation)->second);
  const std::size_t size = all.size() - kTagSize;

  const auto decrypt = [&](TagPlace place) -> absl::StatusOr<Secret> {
    DecryptRequest request{.unique_identifier = key_id,
                           .parameters = AesGcm(),
                           .data = all,
                           .iv = iv,
                           .additional_data = {},
                           .tag = {}};
    if (place == TagPlace::kInField) {
      request.data = all.first(size);
      request.tag = all.subspan(size);
    }
    OKMS_ASSIGN_OR_RETURN(const DecryptResponse reply, session.Call(request, deadline));
    if (!IsKey(reply.unique_identifier.value_or(key_id), key_id)) {
      return absl::DataLossError(absl::StrCat("KMIP Decrypt: the reply is about key ",
                                              Printable(*reply.unique_identifier), ", not ",
                                              Printable(key_id)));
    }
    const ByteView data = reply.data.value_or(ByteView());
    if (data.size() != size) {
      return absl::DataLossError(absl::StrCat("KMIP Decrypt: the KMS returned ", data.size(),
                                              " bytes; the ciphertext holds ", size));
    }
    return Secret(data);
  };

  if (session.version() >= kFirstWithTagField) return decrypt(TagPlace::kInField);
  const TagPlace first = known_.tag_place_before_1_4;
  const TagPlace second = first == TagPlace::kInData ? TagPlace::kInField : TagPlace::kInData;
  absl::StatusOr<Secret> result = decrypt(first);
  if (result.ok() || !session.usable() || absl::IsPermissionDenied(result.status()) ||
      absl::IsNotFound(result.status())) {
    return result;
  }
  absl::StatusOr<Secret> other = decrypt(second);
  if (!other.ok()) return result;
  known_.tag_place_before_1_4 = second;
  return other;
}

}  // namespace okms::kmip
