// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// OVHcloud KMS over its REST API as the KMS.
//
// The stored format is that of the Go plugin, both ways: the ciphertext is the text that the KMS
// returned (a JWE), byte for byte, without annotations. A key's id is the configured text as it is,
// or, for a label, the UUID in lower case.

#ifndef OKMS_REST_REST_BACKEND_H_
#define OKMS_REST_REST_BACKEND_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/deadline.h"
#include "base/guarded.h"
#include "core/backend.h"
#include "core/key_name.h"
#include "rest/http_client.h"
#include "rest/service_key.h"

namespace okms::rest {

class RestBackend : public Backend {
 public:
  // A key id must be a UUID in a form that ParseUuid takes.
  RestBackend(std::unique_ptr<HttpClient> http, ServiceKeyApi api, KeyName key)
      : key_(std::move(key)), api_(std::move(api)), http_(std::move(http)) {}

  void FindKey(Deadline deadline, Done<KeyInfo> done) override;
  void Encrypt(const std::string& key_id, Secret plaintext, Deadline deadline,
               Done<Ciphertext> done) override;
  void Decrypt(const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
               Done<Secret> done) override;

 private:
  struct Search;
  // The key that a label led to. The list of all keys may be long: it is walked once a minute, and
  // meanwhile the key itself tells whether it still has the label.
  struct Found {
    std::string uuid;
    Clock::time_point until;
  };

  void FindByLabel(Deadline deadline, Done<KeyInfo> done);
  void StartSearch(Deadline deadline, Done<KeyInfo> done);
  // The next page, and so on until the last one.
  void Continue(std::unique_ptr<Search> search);
  // Checks the key of that UUID, and its label if there must be one; the answer names it
  // `shown_id`.
  void CheckKey(const std::string& uuid, std::string shown_id, std::optional<std::string> label,
                Deadline deadline, Done<KeyInfo> done);

  const KeyName key_;
  const ServiceKeyApi api_;
  Guarded<Found> found_;
  const std::unique_ptr<HttpClient> http_;  // last: its thread uses all above
};

}  // namespace okms::rest

#endif  // OKMS_REST_REST_BACKEND_H_
