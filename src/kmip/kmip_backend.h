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
  static constexpr std::size_t kSessionsForEncrypts = 2;
  // A check that hangs on a dead connection must not keep the next one waiting.
  // By their way the Encrypts are verified, too.
  static constexpr std::size_t kSessionsForChecks =
      CheckSchedule::kMaxChecks + kSessionsForEncrypts;

  explicit KmipBackend(std::unique_ptr<Dialer> dialer) : dialer_(std::move(dialer)) {}
  ~KmipBackend() override { dialer_->Cancel(); }

  void Locate(const std::string& label, NextDeadline deadline, Done<Located> done) override;
  void Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) override;
  void Encrypt(Way way, const std::string& key_id, Secret plaintext, Deadline deadline,
               Done<Ciphertext> done) override;
  void Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
               Done<Secret> done) override;

 private:
  SessionPool& Pool(Way way) {
    switch (way) {
      case Way::kDecrypts: return decrypts_;
      case Way::kEncrypts: return encrypts_;
      case Way::kChecks: break;
    }
    return checks_;
  }

  absl::StatusOr<Ciphertext> EncryptOn(Session& session, const std::string& key_id,
                                       const Secret& plaintext, Deadline deadline);
  absl::StatusOr<Secret> DecryptOn(Session& session, const std::string& key_id,
                                   const Ciphertext& ciphertext, Deadline deadline);

  const std::unique_ptr<Dialer> dialer_;
  KnownServer known_;
  // Last: their threads use all above.
  // Those of the calls go before the checks': what becomes of a call may begin a check.
  SessionPool checks_{*dialer_, known_, kSessionsForChecks};
  SessionPool encrypts_{*dialer_, known_, kSessionsForEncrypts};
  SessionPool decrypts_{*dialer_, known_, kSessionsForDecrypts};
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_KMIP_BACKEND_H_
