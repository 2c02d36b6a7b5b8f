// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A KMIP server as the KMS.
//
// The stored format is that of the Go plugin, both ways: AES-GCM with a 12-byte IV, a 16-byte tag
// and no additional data; the ciphertext is C followed by T; the annotations "iv.okms.ovh.com" and
// "alg.okms.ovh.com" hold the IV's bytes and "AES_GCM".

#ifndef OKMS_KMIP_KMIP_BACKEND_H_
#define OKMS_KMIP_KMIP_BACKEND_H_

#include <memory>
#include <string>
#include <utility>

#include "core/backend.h"
#include "core/check_schedule.h"
#include "kmip/known_server.h"
#include "kmip/session_pool.h"
#include "net/stream.h"

namespace okms::kmip {

inline constexpr char kIvAnnotation[] = "iv.okms.ovh.com";
inline constexpr char kAlgorithmAnnotation[] = "alg.okms.ovh.com";
inline constexpr char kAlgorithmAesGcm[] = "AES_GCM";

class KmipBackend : public Backend {
 public:
  static constexpr std::size_t kSessionsForDecrypts = 8;
  // For calls; those that Decrypts may not take are for Encrypts.
  static constexpr std::size_t kSessionsForCalls = kSessionsForDecrypts + 2;
  // A check that hangs on a dead connection must not keep the next one waiting, nor must what is
  // encrypted, which is verified there.
  static constexpr std::size_t kSessionsForChecks =
      CheckSchedule::kMaxChecks + kSessionsForCalls - kSessionsForDecrypts;

  explicit KmipBackend(std::unique_ptr<Dialer> dialer) : dialer_(std::move(dialer)) {}
  ~KmipBackend() override { dialer_->Cancel(); }

  void Locate(const std::string& label, NextDeadline deadline, Done<Located> done) override;
  void Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) override;
  void Encrypt(Way way, const std::string& key_id, Secret plaintext, Deadline deadline,
               Done<Ciphertext> done) override;
  void Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
               Done<Secret> done) override;

 private:
  SessionPool& Pool(Way way) { return way == Way::kChecks ? checks_ : calls_; }
  static Rank RankOf(Way way) { return way == Way::kDecrypts ? Rank::kHerd : Rank::kSeldom; }

  absl::StatusOr<Ciphertext> EncryptOn(Session& session, const std::string& key_id,
                                       const Secret& plaintext, Deadline deadline);
  absl::StatusOr<Secret> DecryptOn(Session& session, const std::string& key_id,
                                   const Ciphertext& ciphertext, Deadline deadline);

  const std::unique_ptr<Dialer> dialer_;
  KnownServer known_;
  // Last: their threads use all above.
  // The calls' goes before the checks': what becomes of a call may begin a check.
  SessionPool checks_{*dialer_, known_, kSessionsForChecks, 0};
  SessionPool calls_{*dialer_, known_, kSessionsForCalls, kSessionsForDecrypts};
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_KMIP_BACKEND_H_
