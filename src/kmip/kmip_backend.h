// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A KMIP server as the KMS.
//
// The stored format is that of the Go plugin, both ways: AES-GCM with a 12-byte IV, a 16-byte tag
// and no additional data; the ciphertext is C followed by T; the annotations "iv.okms.ovh.com" and
// "alg.okms.ovh.com" hold the IV's bytes and "AES_GCM".

#ifndef OKMS_KMIP_KMIP_BACKEND_H_
#define OKMS_KMIP_KMIP_BACKEND_H_

#include <atomic>
#include <memory>
#include <string>

#include "core/backend.h"
#include "core/key_name.h"
#include "kmip/session_pool.h"
#include "net/stream.h"

namespace okms::kmip {

inline constexpr char kIvAnnotation[] = "iv.okms.ovh.com";
inline constexpr char kAlgorithmAnnotation[] = "alg.okms.ovh.com";
inline constexpr char kAlgorithmAesGcm[] = "AES_GCM";

class KmipBackend : public Backend {
 public:
  KmipBackend(std::unique_ptr<Dialer> dialer, KeyName key)
      : key_(std::move(key)), dialer_(std::move(dialer)), pool_(*dialer_) {}

  void FindKey(Deadline deadline, Done<KeyInfo> done) override;
  void Encrypt(const std::string& key_id, Secret plaintext, Deadline deadline,
               Done<Ciphertext> done) override;
  void Decrypt(const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
               Done<Secret> done) override;

 private:
  // Where a server of KMIP 1.2 or 1.3 wants the GCM tag: those versions have no field for it, and
  // servers differ. From 1.4 on it has its own field.
  enum class TagPlace { kInData, kInField };

  absl::StatusOr<std::string> LocateKey(Session& session, const std::string& label,
                                        Deadline deadline);
  absl::StatusOr<Ciphertext> EncryptOn(Session& session, const std::string& key_id,
                                       const Secret& plaintext, Deadline deadline);
  absl::StatusOr<Secret> DecryptOn(Session& session, const std::string& key_id,
                                   const Ciphertext& ciphertext, Deadline deadline);

  const KeyName key_;
  // As the last Encrypt answered, or as the last Decrypt was accepted.
  std::atomic<TagPlace> tag_place_before_1_4_ = TagPlace::kInData;
  const std::unique_ptr<Dialer> dialer_;
  SessionPool pool_;  // last: its threads use all above
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_KMIP_BACKEND_H_
