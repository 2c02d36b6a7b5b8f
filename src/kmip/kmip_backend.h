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
#include <optional>
#include <string>

#include "core/backend.h"
#include "kmip/counters.h"
#include "kmip/known_server.h"
#include "kmip/session_pool.h"
#include "net/channel.h"
#include "net/io_loop.h"

namespace okms::kmip {

inline constexpr char kIvAnnotation[] = "iv.okms.ovh.com";
inline constexpr char kAlgorithmAnnotation[] = "alg.okms.ovh.com";
inline constexpr char kAlgorithmAesGcm[] = "AES_GCM";

class KmipBackend : public Backend {
 public:
  static constexpr std::size_t kMostSessions = 16;  // unless somebody says otherwise

  // Both references must outlive it. `most_sessions`: at least one.
  KmipBackend(IoLoop& loop, std::unique_ptr<Connector> connector, Counters& counters,
              std::size_t most_sessions);

  void Locate(const std::string& label, NextDeadline deadline, Done<Located> done) override;
  void Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) override;
  void Encrypt(Way way, const std::string& key_id, Secret plaintext, Deadline deadline,
               Done<Ciphertext> done) override;
  void Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
               Done<Secret> done) override;

 private:
  struct Decryption;

  void Locate(bool filtered, std::string label, Deadline deadline, Done<Located> done);
  void Inspect(bool with_names, std::string key_id, Deadline deadline, Done<KeyInfo> done);
  // Asks with the tag at one place, where the version leaves a choice, and then at the other one.
  void Submit(std::shared_ptr<Decryption> decryption);

  // Of the loop's turn.
  const std::unique_ptr<Connector, DeleteInTurn<Connector>> connector_;
  KnownServer known_;
  // Uses both. Not behind a pointer, which would be null while this ends: what is answered
  // meanwhile may ask again, and is told so.
  SessionPool pool_;
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_KMIP_BACKEND_H_
