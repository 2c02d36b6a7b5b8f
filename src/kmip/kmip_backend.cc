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

Rank RankOf(Way way) {
  switch (way) {
    case Way::kDecrypts: return Rank::kDecrypt;
    case Way::kEncrypts: return Rank::kEncrypt;
    case Way::kChecks: return Rank::kCheck;
  }
  return Rank::kDecrypt;
}

// What the reply shows of that key.
absl::StatusOr<KeyInfo> InfoOf(const GetAttributesResponse& attributes, const std::string& key_id) {
  if (!IsKey(attributes.unique_identifier, key_id)) {
    return absl::DataLossError(absl::StrCat("KMIP GetAttributes: the reply is about key ",
                                            Printable(attributes.unique_identifier), ", not ",
                                            Printable(key_id)));
  }
  KeyInfo info;
  if (const auto type = attributes.object_type) {
    info.symmetric = {*type == ObjectType::kSymmetricKey,
                      absl::StrCat("object type ", static_cast<uint32_t>(*type))};
  }
  if (const auto state = attributes.state) {
    info.active = {*state == State::kActive, absl::StrCat(ToString(*state), ", not Active")};
  }
  if (const auto algorithm = attributes.algorithm) {
    info.aes = {*algorithm == CryptographicAlgorithm::kAes,
                absl::StrCat("algorithm ", static_cast<uint32_t>(*algorithm))};
  }
  info.bits = attributes.length;
  if (const auto mask = attributes.usage_mask) {
    info.encrypts = {(*mask & kUsageEncrypt) != 0, "Encrypt by its usage mask"};
    info.decrypts = {(*mask & kUsageDecrypt) != 0, "Decrypt by its usage mask"};
  }
  // Servers leave out what they do not show. A key without any name has none to compare either.
  if (!attributes.names.empty()) {
    info.labels.emplace(attributes.names.begin(), attributes.names.end());
  }
  return info;
}

// What the reply holds, as it is stored.
absl::StatusOr<Ciphertext> CiphertextOf(const EncryptResponse& reply, const std::string& key_id,
                                        std::size_t size, ByteView our_iv,
                                        ProtocolVersion version) {
  const auto refuse = [](auto... why) {
    return absl::DataLossError(absl::StrCat("KMIP Encrypt: ", why...));
  };
  if (!IsKey(reply.unique_identifier.value_or(""), key_id)) {
    return refuse("the reply is about key ", Printable(reply.unique_identifier.value_or("(none)")),
                  ", not ", Printable(key_id));
  }
  const ByteView data = reply.data.value_or(ByteView());
  const ByteView tag = reply.tag.value_or(ByteView());
  if (data.size() + tag.size() != size + kTagSize) {
    // Some servers of KMIP 1.2 and 1.3 drop the tag. What they return could never be decrypted.
    return refuse("the KMS returned ", data.size() + tag.size(), " bytes for ", size,
                  "; with the GCM tag it must be ", size + kTagSize, ". Nothing was stored. KMIP ",
                  version.ToString(), " of this KMS cannot carry the tag; it needs 1.4");
  }
  if (!tag.empty() && tag.size() != kTagSize) {
    return refuse("the tag has ", tag.size(), " bytes, not ", kTagSize);
  }
  // The IV that was really used; a server may choose its own.
  const ByteView iv = reply.iv && !reply.iv->empty() ? *reply.iv : our_iv;
  if (iv.size() != kIvSize) {
    return refuse("the KMS used an IV of ", iv.size(), " bytes, not ", kIvSize);
  }
  return Ciphertext{
      absl::StrCat(AsText(data), AsText(tag)),
      {{kIvAnnotation, std::string(AsText(iv))}, {kAlgorithmAnnotation, kAlgorithmAesGcm}}};
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

template <typename T>
std::shared_ptr<absl::StatusOr<T>> NoResult() {
  return std::make_shared<absl::StatusOr<T>>(absl::InternalError("no result"));
}

}  // namespace

KmipBackend::KmipBackend(IoLoop& loop, std::unique_ptr<Connector> connector, Counters& counters,
                         std::size_t most_sessions)
    : connector_(connector.release(), {&loop}),
      pool_(loop, *connector_, known_, counters, most_sessions) {}

void KmipBackend::Locate(const std::string& label, NextDeadline deadline, Done<Located> done) {
  Locate(/*filtered=*/true, label, deadline(), std::move(done));
}

void KmipBackend::Locate(bool filtered, std::string label, Deadline deadline, Done<Located> done) {
  auto located = NoResult<Located>();
  auto request = [label, filtered](ProtocolVersion) {
    return filtered ? LocateRequest{label, ObjectType::kSymmetricKey, State::kActive}
                    : LocateRequest{label, {}, {}};
  };
  auto read = [located](const LocateResponse& found, ProtocolVersion) {
    *located = Located();
    for (const absl::string_view id : found.unique_identifiers) {
      if (id.empty()) return absl::DataLossError("KMIP Locate: an empty key id");
      (*located)->key_ids.emplace_back(id);
    }
    return absl::OkStatus();
  };
  auto finish = [this, filtered, label, deadline, located,
                 done = std::move(done)](const Outcome& outcome) mutable {
    const absl::Status& status = outcome.status;
    if (status.ok()) {
      done(*std::move(located));
    } else if (filtered && outcome.answered && !absl::IsPermissionDenied(status) &&
               !absl::IsUnauthenticated(status)) {
      // Some servers cannot search by type and state; the attributes are checked anyway.
      Locate(/*filtered=*/false, std::move(label), deadline, std::move(done));
    } else if (outcome.answered && absl::IsNotFound(status)) {
      done(Located());
    } else {
      done(status);
    }
  };
  pool_.Submit(MakeCall<LocateRequest>(Rank::kCheck, deadline, std::move(request), std::move(read),
                                       std::move(finish)));
}

void KmipBackend::Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) {
  Inspect(/*with_names=*/true, key_id, deadline, std::move(done));
}

// OVHcloud's documented rights are encrypt, decrypt and locate only, and not every server knows
// these attributes: one that refuses to show them may still serve.
void KmipBackend::Inspect(bool with_names, std::string key_id, Deadline deadline,
                          Done<KeyInfo> done) {
  auto info = NoResult<KeyInfo>();
  auto request = [key_id, with_names](ProtocolVersion) {
    GetAttributesRequest asked{
        key_id,
        {attribute::kState, attribute::kObjectType, attribute::kCryptographicAlgorithm,
         attribute::kCryptographicLength, attribute::kCryptographicUsageMask, attribute::kName}};
    if (!with_names) asked.names.pop_back();
    return asked;
  };
  auto read = [info, key_id](const GetAttributesResponse& attributes, ProtocolVersion) {
    *info = InfoOf(attributes, key_id);
    return info->status();
  };
  auto finish = [this, with_names, key_id, deadline, info,
                 done = std::move(done)](const Outcome& outcome) mutable {
    const absl::Status& status = outcome.status;
    const bool hidden = !status.ok() && outcome.answered && !absl::IsNotFound(status) &&
                        !absl::IsUnauthenticated(status);
    if (status.ok()) {
      done(*std::move(info));
    } else if (hidden && with_names) {  // the name may be all that it refuses
      Inspect(/*with_names=*/false, std::move(key_id), deadline, std::move(done));
    } else if (hidden) {
      done(KeyInfo());
    } else {
      done(status);
    }
  };
  pool_.Submit(MakeCall<GetAttributesRequest>(Rank::kCheck, deadline, std::move(request),
                                              std::move(read), std::move(finish)));
}

void KmipBackend::Encrypt(Way way, const std::string& key_id, Secret plaintext, Deadline deadline,
                          Done<Ciphertext> done) {
  std::array<uint8_t, kIvSize> iv{};
  if (RAND_bytes(iv.data(), iv.size()) != 1) {
    done(absl::InternalError(absl::StrCat("no random bytes: ", OpenSslErrors())));
    return;
  }
  auto result = NoResult<Ciphertext>();
  const std::size_t size = plaintext.size();
  auto request = [key_id, iv, plaintext = std::move(plaintext)](ProtocolVersion) {
    return EncryptRequest{.unique_identifier = key_id,
                          .parameters = AesGcm(),
                          .data = plaintext.Reveal(),
                          .iv = iv,
                          .additional_data = {}};
  };
  auto read = [this, result, key_id, iv, size](const EncryptResponse& reply,
                                               ProtocolVersion version) {
    *result = CiphertextOf(reply, key_id, size, iv, version);
    if (result->ok()) {
      const bool in_data = reply.tag.value_or(ByteView()).empty();
      known_.tag_place_before_1_4 = in_data ? TagPlace::kInData : TagPlace::kInField;
    }
    return result->status();
  };
  auto finish = [result, done = std::move(done)](const Outcome& outcome) mutable {
    if (outcome.status.ok()) {
      done(*std::move(result));
    } else {
      done(outcome.status);
    }
  };
  pool_.Submit(MakeCall<EncryptRequest>(RankOf(way), deadline, std::move(request), std::move(read),
                                        std::move(finish)));
}

// What is under way for one Decrypt.
struct KmipBackend::Decryption {
  Rank rank;
  std::string key_id;
  Ciphertext ciphertext;
  Deadline deadline;
  Done<Secret> done;
  absl::StatusOr<Secret> result{absl::InternalError("no result")};
  // As it was asked last; none where the version has a field for the tag.
  std::optional<TagPlace> place = {};
  absl::Status first_error = {};  // from where the tag was put first

  DecryptRequest Request(ProtocolVersion version, const KnownServer& known) {
    const ByteView all = AsBytes(ciphertext.bytes);
    DecryptRequest request{.unique_identifier = key_id,
                           .parameters = AesGcm(),
                           .data = all,
                           .iv = AsBytes(ciphertext.annotations.find(kIvAnnotation)->second),
                           .additional_data = {},
                           .tag = {}};
    if (version >= kFirstWithTagField) {
      place.reset();
    } else if (!place) {
      place = known.tag_place_before_1_4;
    }
    if (place != TagPlace::kInData) {
      request.data = all.first(all.size() - kTagSize);
      request.tag = all.last(kTagSize);
    }
    return request;
  }

  absl::Status Read(const DecryptResponse& reply) {
    if (!IsKey(reply.unique_identifier.value_or(key_id), key_id)) {
      return absl::DataLossError(absl::StrCat("KMIP Decrypt: the reply is about key ",
                                              Printable(*reply.unique_identifier), ", not ",
                                              Printable(key_id)));
    }
    const ByteView data = reply.data.value_or(ByteView());
    if (data.size() != ciphertext.bytes.size() - kTagSize) {
      return absl::DataLossError(absl::StrCat("KMIP Decrypt: the KMS returned ", data.size(),
                                              " bytes; the ciphertext holds ",
                                              ciphertext.bytes.size() - kTagSize));
    }
    result = Secret(data);
    return absl::OkStatus();
  }
};

void KmipBackend::Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext,
                          Deadline deadline, Done<Secret> done) {
  if (absl::Status status = CheckRecord(ciphertext); !status.ok()) {
    done(std::move(status));
    return;
  }
  Submit(std::make_shared<Decryption>(
      Decryption{RankOf(way), key_id, std::move(ciphertext), deadline, std::move(done)}));
}

void KmipBackend::Submit(std::shared_ptr<Decryption> decryption) {
  auto request = [this, decryption](ProtocolVersion version) {
    return decryption->Request(version, known_);
  };
  auto read = [decryption](const DecryptResponse& reply, ProtocolVersion) {
    return decryption->Read(reply);
  };
  auto finish = [this, decryption](const Outcome& outcome) {
    const absl::Status& status = outcome.status;
    const bool second = !decryption->first_error.ok();
    if (status.ok()) {
      if (second && decryption->place) known_.tag_place_before_1_4 = *decryption->place;
      decryption->done(std::move(decryption->result));
    } else if (second) {
      decryption->done(decryption->first_error);
    } else if (!outcome.answered || !decryption->place || absl::IsPermissionDenied(status) ||
               absl::IsNotFound(status)) {
      decryption->done(status);
    } else {
      decryption->first_error = status;
      decryption->place =
          *decryption->place == TagPlace::kInData ? TagPlace::kInField : TagPlace::kInData;
      Submit(decryption);
    }
  };
  pool_.Submit(MakeCall<DecryptRequest>(decryption->rank, decryption->deadline, std::move(request),
                                        std::move(read), std::move(finish)));
}

}  // namespace okms::kmip
