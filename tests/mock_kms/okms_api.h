// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the OKMS mock answers: the four calls of the Service Key API that the plugin makes, by
// OVHcloud's OpenAPI description of it (version 2.14.0). Requests in, answers out, no sockets.
//
// Where the description leaves a choice: a list without `state` holds the keys of every state; a
// key that is not active, or may not do what is asked, is 400, as 403 is not described. The
// description has continuation_token required and not empty, so the last page brings one too: only
// is_truncated, which is true while there is more, tells them apart.

#ifndef OKMS_TESTS_MOCK_KMS_OKMS_API_H_
#define OKMS_TESTS_MOCK_KMS_OKMS_API_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include <nlohmann/json_fwd.hpp>

#include "mock_kms/key_store.h"
#include "mock_kms/rest_message.h"
#include "mock_kms/rest_route.h"

namespace okms::test {

// Thread-safe. Shows the keys whose id is a UUID; to REST the others do not exist.
class OkmsApi {
 public:
  // `page_size`: a list has at most so many keys, even when the client wants more. `keys` must
  // outlive this.
  OkmsApi(std::string okms_id, std::size_t page_size, const KeyStore& keys)
      : okms_id_(std::move(okms_id)), page_size_(page_size), keys_(keys) {}

  RestResponse Answer(const RestRequest& request) const;

 private:
  // The outcome of a step: what the next one needs, or the refusal.
  template <typename T>
  using Result = std::variant<RestResponse, T>;

  RestResponse List(const RestRoute& route) const;
  RestResponse Get(const RestRoute& route) const;
  RestResponse Encrypt(const RestRoute& route, const nlohmann::json& body) const;
  RestResponse Decrypt(const RestRoute& route, const nlohmann::json& body) const;
  Result<MockKey> Find(const RestRoute& route) const;
  Result<MockKey> FindUsable(const RestRoute& route, int32_t usage) const;

  const std::string okms_id_;
  const std::size_t page_size_;
  const KeyStore& keys_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_OKMS_API_H_
