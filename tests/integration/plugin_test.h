// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What most tests here begin with: certificates, a mock KMS with one key, and the real plugin.
//
// After each test: the plugin still runs unless the test ended it, the KMS was never asked for a
// key (KMIP Get), and no line of the log holds a plaintext.

#ifndef OKMS_TESTS_INTEGRATION_PLUGIN_TEST_H_
#define OKMS_TESTS_INTEGRATION_PLUGIN_TEST_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "integration/child_process.h"
#include "integration/wait.h"
#include "mock_kms/clients.h"
#include "mock_kms/mock_kms.h"
#include "support/kms_client.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"

namespace okms::test {

using Code = absl::StatusCode;

// The plugin's program: $OKMS_PLUGIN, or else the one of this build.
std::string PluginProgram();

// A port of 127.0.0.1 that stays ours while nothing listens there, and can be listened on (with
// SO_REUSEADDR) when it is time.
class ReservedPort {
 public:
  ReservedPort();
  uint16_t number() const { return number_; }

 private:
  UniqueFd fd_;
  uint16_t number_ = 0;
};

class PluginTest : public testing::Test {
 protected:
  PluginTest();
  ~PluginTest() override;
  void TearDown() override;

  // The KMS. It gets key_ at each start. Where `options` names no certificates or port, it takes
  // those of the test; the port is the same at each start.
  void StartKms(HandlerOptions handler = {});
  void StartKms(MockKmsOptions options);
  void StopKms();
  MockKms& kms() { return *kms_; }
  uint16_t port() const { return port_.number(); }
  void SetFault(const std::string& text) { kms_->SetFault(Must(ParseFault(text))); }
  void ClearFault() { kms_->SetFault(std::nullopt); }
  void SetKeyState(kmip::State state);

  // The command line. flags_ holds long flags with their values; an empty value: the flag alone.
  std::vector<std::string> Argv() const;
  void UseLabel(const std::string& label);

  // Starts the plugin and waits until it listens.
  void StartPlugin(ChildOptions options = {});
  // Starts it and does not wait.
  void LaunchPlugin(ChildOptions options = {});
  // Tells it to stop; the exit status.
  std::optional<int> StopPlugin(int signal = SIGTERM);
  // What StartPlugin and then waiting for a Status that is ok do.
  void StartReady();
  // Starts a plugin that must end by itself at once: its exit status and all it wrote to stderr.
  struct Ended {
    std::optional<int> exit_status;
    std::string err;
    std::string out;
  };
  Ended RunToEnd(ChildOptions options = {});
  ChildProcess& plugin() { return *plugin_; }
  // What it has of its own. 0 in a build with sanitizers, whose heap keeps what is freed.
  int MemoryKb();
  const std::string& socket() const { return socket_; }

  // A client of its own connection; client() is the one that is always there.
  std::unique_ptr<KmsClient> NewClient(const KmsClient::Options& options = {}) const;
  KmsClient& client();

  // Polls Status until it has this code; returns the last answer.
  absl::Status AwaitStatus(Code code, std::chrono::milliseconds limit = kPatience);
  // Polls Status until it names this key; whether it did.
  bool AwaitKey(const std::string& key_id, std::chrono::milliseconds limit = kPatience);

  // Random bytes that must not show in the log.
  std::string NewPlaintext(std::size_t size = 32);
  // Encrypts and decrypts anew, and expects success.
  void ExpectRoundTrip();
  void ExpectRoundTrip(KmsClient& client);

  TempDir dir_;
  TestPki pki_;
  KeyPairFiles server_pair_;
  KeyPairFiles client_pair_;
  MockKey key_;  // id key-1, name kek
  std::map<std::string, std::string> flags_;
  Clients clients_;                        // of either mock KMS
  std::string kms_address_ = "127.0.0.1";  // where it listens from its next start on

 private:
  void CheckLog();
  void CheckCounts();

  const ReservedPort port_;
  const std::string socket_;
  std::unique_ptr<MockKms> kms_;
  std::unique_ptr<ChildProcess> plugin_;
  std::unique_ptr<KmsClient> client_;
  std::vector<std::string> plaintexts_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_INTEGRATION_PLUGIN_TEST_H_
