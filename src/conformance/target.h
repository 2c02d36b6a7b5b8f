// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The plugin that is looked at, as its callers see it, and where it is in the kit's hands.

#ifndef OKMS_CONFORMANCE_TARGET_H_
#define OKMS_CONFORMANCE_TARGET_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "client/kms_client.h"
#include "conformance/case.h"
#include "conformance/process.h"

namespace okms::conformance {

using client::KmsClient;
using client::Record;
using client::StatusReply;
using std::chrono::milliseconds;

inline constexpr milliseconds kCallTimeout{3000};  // the apiserver's default

struct Request {
  std::string socket;  // a path, or "@name"
  std::string plugin;  // commands; empty: none
  std::string kms;
  std::string rotate;
  bool kms_counts = false;       // the KMS takes SIGUSR1, and says then how often it was asked
  milliseconds patience{60000};  // for what the plugin is to notice by itself
};

class Target {
 public:
  explicit Target(Request request);

  const Request& request() const { return request_; }
  bool Has(Hands hands) const;

  // Starts what is in our hands, and waits until the plugin answers a Status. Errors: why there is
  // nothing to look at.
  absl::Status Begin();

  // The connection that is there all the time, as an apiserver's is.
  KmsClient& client() { return client_; }
  std::unique_ptr<KmsClient> NewClient(milliseconds timeout = kCallTimeout) const;
  // One that is connected before its first call, and is not a second time.
  absl::StatusOr<std::unique_ptr<KmsClient>> NewConnectedClient(
      milliseconds timeout = kCallTimeout) const;

  // Polls Status until it is good, or is not, for as long as there is patience; the last answer.
  absl::StatusOr<StatusReply> AwaitReady();
  absl::StatusOr<StatusReply> AwaitNotReady();

  // Each is good for cases that have `hands` for it. Errors: kFailedPrecondition.
  absl::Status StartPlugin();
  absl::Status StartKms();
  absl::Status Rotate();
  struct OldRecord {
    Record record;
    std::string plaintext;
  };
  OldRecord old_record;  // of before Rotate
  Process& plugin() { return plugin_; }
  Process& kms() { return kms_; }
  // The plugin is running and ready, whatever was done to it. Errors: it is not to be had.
  absl::Status Restore();

  // How often the KMS says it was asked for something, or for `operation`. Errors:
  // kFailedPrecondition, it does not say.
  absl::StatusOr<int> AskedSoFar(absl::string_view operation = "");

 private:
  Variables Names() const;
  absl::Status StartPluginAnew();
  absl::StatusOr<StatusReply> AwaitStatus(bool good);

  const Request request_;
  Process kms_;
  Process plugin_;  // after the KMS, so that it ends first
  KmsClient client_;
};

// Random bytes.
std::string NewPlaintext(std::size_t size = 32);

// The code and the words of an answer, for a line.
std::string Words(const absl::Status& status);

}  // namespace okms::conformance

#endif  // OKMS_CONFORMANCE_TARGET_H_
