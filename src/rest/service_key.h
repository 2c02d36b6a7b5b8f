// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The four calls of the OKMS Service Key API (OVHcloud KMS REST API 2.14) that the plugin makes:
// each request beside its answer. The requests are those of the Go plugin, except that the optional
// "context" is left out.

#ifndef OKMS_REST_SERVICE_KEY_H_
#define OKMS_REST_SERVICE_KEY_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/secret.h"
#include "http/http_client.h"

namespace okms::rest {

// A GetServiceKeyResponse; what is optional may be absent.
struct ServiceKey {
  std::string id;  // canonical
  std::string name;
  std::string type;
  std::optional<std::string> state;
  std::optional<std::vector<std::string>> operations;
};

struct ServiceKeyPage {
  std::vector<ServiceKey> keys;
  std::string next;  // the token of the next page; empty: this is the last one
};

// Makes requests, and reads what came in answer. Immutable. The errors of the Parse functions are
// those of ParseAnswer, with kDataLoss for fields that are missing or of the wrong type;
// ParseDecrypt says kInvalidArgument for a 400, for then the stored record is at fault.
class ServiceKeyApi {
 public:
  // `base_url` is the client's, for messages. `okms_id` and all key ids are UUIDs in canonical
  // form.
  ServiceKeyApi(absl::string_view base_url, absl::string_view okms_id);

  // A refusal, with where it was looked when nothing was found there: the domain may be wrong, or
  // the URL's path.
  absl::Status Located(const absl::Status& status) const;

  // A page of the active keys; the first one has no token.
  http::HttpRequest List(absl::string_view token) const;
  static absl::StatusOr<ServiceKeyPage> ParseList(const http::HttpResponse& response);

  http::HttpRequest Get(const std::string& key_id) const;
  static absl::StatusOr<ServiceKey> ParseGet(const http::HttpResponse& response);

  http::HttpRequest Encrypt(const std::string& key_id, const Secret& plaintext) const;
  // The ciphertext: printable ASCII, not empty. `request` is what it answers.
  static absl::StatusOr<std::string> ParseEncrypt(const http::HttpResponse& response,
                                                  const http::HttpRequest& request);

  // `ciphertext` must be printable ASCII.
  http::HttpRequest Decrypt(const std::string& key_id, const std::string& ciphertext) const;
  static absl::StatusOr<Secret> ParseDecrypt(const http::HttpResponse& response,
                                             const http::HttpRequest& request);

 private:
  const std::string keys_path_;
  const std::string place_;
};

// Not empty, and without space, control and non-ASCII bytes, as JWE compact serialization is.
bool IsPrintableAscii(absl::string_view text);

}  // namespace okms::rest

#endif  // OKMS_REST_SERVICE_KEY_H_
