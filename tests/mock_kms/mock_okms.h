// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// OVHcloud's OKMS REST API (the part the plugin uses) over mutual TLS with real JWEs, for tests,
// demonstrations and benchmarks. Its HTTP is cpp-httplib's, its behaviour is OkmsApi's.

#ifndef OKMS_TESTS_MOCK_KMS_MOCK_OKMS_H_
#define OKMS_TESTS_MOCK_KMS_MOCK_OKMS_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "mock_kms/key_store.h"
#include "mock_kms/okms_api.h"
#include "mock_kms/rest_fault.h"
#include "mock_kms/rest_message.h"
#include "mock_kms/rest_server.h"

namespace okms::test {

inline constexpr char kDefaultOkmsId[] = "3f0c7a52-9d1e-4b68-8c35-e2a4617bd90f";

struct MockOkmsOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;  // 0: any free one
  std::string certificate;
  std::string key;
  std::string client_ca;
  Clients* clients = nullptr;          // if somebody wants to know of them; must outlive it
  std::chrono::microseconds delay{0};  // before each answer
  std::string okms_id = kDefaultOkmsId;
  std::size_t page_size = 100;
};

// Listens on one IPv4 address. Thread-safe.
class MockOkms {
 public:
  // `keys` must outlive it. Errors: kFailedPrecondition.
  static absl::StatusOr<std::unique_ptr<MockOkms>> Start(const MockOkmsOptions& options,
                                                         KeyStore& keys);
  // Ends all connections, also those whose answer is delayed or never comes.
  ~MockOkms();

  uint16_t port() const { return server_->port(); }
  std::string url() const;  // "https://ADDRESS:PORT"
  const std::string& okms_id() const { return okms_id_; }
  KeyStore& keys() { return keys_; }

  // From now on; replaces the one before. nullopt ends it.
  void SetFault(std::optional<RestFault> fault);
  void SetDelay(std::chrono::microseconds delay) { delay_ = delay; }

  // From now on requests wait for Release before they are answered.
  void Hold();
  void Release();
  // Whether so many come to wait at once, in time.
  bool AwaitHeld(std::size_t count, std::chrono::milliseconds limit);

  // The latest requests (ten thousand at most), in the order of their arrival; one that has been
  // answered is among them.
  std::vector<RestRequest> Requests() const;
  void ClearRequests();

  // Resets every connection there is; new ones are welcome.
  void DropConnections() { server_->connections().Drop(); }
  // Connections begun so far, those that TLS refused too.
  int connections() const { return server_->connections().count(); }

 private:
  MockOkms(const MockOkmsOptions& options, KeyStore& keys);
  RestReply Serve(RestRequest request);
  RestReply Answer(const RestRequest& request);
  // The fault that applies to this request, counted.
  std::optional<RestFault> TakeFault(std::optional<RestCall> call);

  const std::string address_;
  const std::string okms_id_;
  KeyStore& keys_;
  const OkmsApi api_;
  std::atomic<std::chrono::microseconds> delay_;

  mutable std::mutex mutex_;  // guards all below but the server
  std::condition_variable changed_;
  bool stopping_ = false;
  bool holding_ = false;
  std::size_t held_ = 0;
  std::optional<RestFault> fault_;
  std::deque<RestRequest> requests_;

  std::unique_ptr<RestServer> server_;  // last: its threads use all above
};

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_MOCK_OKMS_H_
