// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// OVHcloud KMS over its REST API as the KMS.
//
// The stored format is that of the Go plugin, both ways: the ciphertext is the text that the KMS
// returned (a JWE), byte for byte, without annotations. A key's id may be any form that ParseUuid
// takes; a label leads to the UUID in lower case.

#ifndef OKMS_REST_REST_BACKEND_H_
#define OKMS_REST_REST_BACKEND_H_

#include <memory>
#include <string>
#include <utility>

#include "base/deadline.h"
#include "base/guarded.h"
#include "core/backend.h"
#include "http/http_client.h"
#include "rest/service_key.h"

namespace okms::rest {

class RestBackend : public Backend {
 public:
  // One client for each way.
  RestBackend(std::unique_ptr<http::HttpClient> calls, std::unique_ptr<http::HttpClient> checks,
              ServiceKeyApi api)
      : api_(std::move(api)), checks_(std::move(checks)), calls_(std::move(calls)) {}

  void Locate(const std::string& label, NextDeadline deadline, Done<Located> done) override;
  void Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) override;
  void Encrypt(Way way, const std::string& key_id, Secret plaintext, Deadline deadline,
               Done<Ciphertext> done) override;
  void Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
               Done<Secret> done) override;

 private:
  struct Search;
  // The key that a label led to. The list of all keys may be long: it is walked once a minute, and
  // meanwhile the key itself tells whether it still has the label.
  struct Found {
    std::string label;
    std::string uuid;
    Clock::time_point until;
  };

  // Calls share connections (HTTP/2), or have up to 32: one that hangs keeps no other one waiting.
  http::HttpClient& Http(Way way) { return way == Way::kChecks ? *checks_ : *calls_; }
  // The next page, and so on until the last one.
  void Continue(std::unique_ptr<Search> search);
  // Forgets what was found unless this, seen of that key, bears it out.
  void Review(const std::string& uuid, const absl::StatusOr<KeyInfo>& info);

  const ServiceKeyApi api_;
  Guarded<Found> found_;
  // Last: what becomes of calls uses all above.
  // The calls' goes before the checks': what becomes of a call may begin a check.
  const std::unique_ptr<http::HttpClient> checks_;
  const std::unique_ptr<http::HttpClient> calls_;
};

}  // namespace okms::rest

#endif  // OKMS_REST_REST_BACKEND_H_
