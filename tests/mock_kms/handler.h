// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the mock KMS answers: KMIP requests in, replies out, no sockets.

#ifndef OKMS_TESTS_MOCK_KMS_HANDLER_H_
#define OKMS_TESTS_MOCK_KMS_HANDLER_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/guarded.h"
#include "base/secret.h"
#include "kmip/enums.h"
#include "kmip/message.h"
#include "kmip/operations.h"
#include "kmip/version.h"
#include "mock_kms/fault.h"
#include "mock_kms/key_store.h"

namespace okms::test {

// Where Encrypt puts the GCM tag, and Decrypt wants it, below KMIP 1.4.
enum class TagBelow14 { kInData, kInField, kDropped };

struct HandlerOptions {
  std::vector<kmip::ProtocolVersion> versions = {{1, 4}, {1, 3}, {1, 2}, {1, 1}, {1, 0}};
  bool cryptography_below_1_2 = false;  // Encrypt and Decrypt as an extension
  TagBelow14 tag_below_1_4 = TagBelow14::kInData;
  bool show_attributes = true;  // else GetAttributes is PermissionDenied
  bool ignore_name = false;     // Locate finds keys of any name
  bool own_iv = false;          // the server chooses the IV and says which
  int64_t clock_ahead = 0;      // seconds: what its answers say of the time
  bool answer_get = false;      // else Get is refused, as everything that is not served
};

// Thread-safe.
class Handler {
 public:
  explicit Handler(HandlerOptions options) : options_(std::move(options)) {}

  KeyStore& keys() { return keys_; }
  void Put(MockKey key) { keys_.Put(std::move(key)); }
  void Remove(const std::string& id) { keys_.Remove(id); }

  // The reply to one request message, with what a fault does to it. Its items are served in their
  // order; after one that fails the rest is left out, unless the message says to go on.
  WipedBytes Answer(ByteView message, const std::optional<Hit>& hit);

  // How often each operation was asked for, by its code: also those that are not served.
  std::map<uint32_t, int> Counts() const {
    return counts_.With([](const auto& c) { return c; });
  }

 private:
  struct Refusal {
    kmip::ResultReason reason;
    std::string message;
  };
  template <typename Response>
  using Result = std::variant<Refusal, Response>;

  // One overload an operation. The views in what is returned may point into `storage`.
  Result<kmip::DiscoverVersionsResponse> Serve(const kmip::DiscoverVersionsRequest& asked,
                                               kmip::ProtocolVersion version,
                                               std::string& storage) const;
  Result<kmip::QueryResponse> Serve(const kmip::QueryRequest& asked, kmip::ProtocolVersion version,
                                    std::string& storage) const;
  Result<kmip::LocateResponse> Serve(const kmip::LocateRequest& wanted,
                                     kmip::ProtocolVersion version, std::string& storage) const;
  Result<kmip::GetAttributesResponse> Serve(const kmip::GetAttributesRequest& wanted,
                                            kmip::ProtocolVersion version,
                                            std::string& storage) const;
  Result<kmip::EncryptResponse> Serve(const kmip::EncryptRequest& wanted,
                                      kmip::ProtocolVersion version, std::string& storage) const;
  Result<kmip::DecryptResponse> Serve(const kmip::DecryptRequest& wanted,
                                      kmip::ProtocolVersion version, std::string& storage) const;

  // The answer to one item; `payload` is what it points to.
  struct Answered {
    kmip::Response response;
    WipedBytes payload = {};
  };
  Answered AnswerItem(const kmip::Request& request, std::optional<Fault> fault) const;
  template <typename OperationRequest>
  Answered Reply(const kmip::Request& request, std::optional<Fault> fault) const;
  bool Knows(kmip::ProtocolVersion version) const;
  bool HasOperation(kmip::ProtocolVersion version, kmip::Operation operation) const;
  std::variant<Refusal, MockKey> KeyFor(absl::string_view id, int32_t usage) const;

  const HandlerOptions options_;
  KeyStore keys_;
  Guarded<std::map<uint32_t, int>> counts_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_HANDLER_H_
