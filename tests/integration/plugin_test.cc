// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "integration/plugin_test.h"

#include <netinet/in.h>
#include <openssl/rand.h>
#include <signal.h>
#include <sys/socket.h>

#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/numbers.h"
#include "support/plaintext.h"

namespace okms::test {
namespace {

constexpr uint32_t kGet = 0x0A;

}  // namespace

std::string PluginProgram() {
  const char* other = std::getenv("OKMS_PLUGIN");
  return other != nullptr ? other : OKMS_PLUGIN_PROGRAM;
}

ReservedPort::ReservedPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const int on = 1;
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  Must(::bind(fd_.get(), generic, size) == 0 && ::getsockname(fd_.get(), generic, &size) == 0,
       "no free port");
  number_ = ntohs(address.sin_port);
}

PluginTest::PluginTest()
    : pki_(Must(TestPki::Create(dir_.path()))),
      server_pair_(Must(pki_.Issue(
          "server",
          {.common_name = "kms", .names = {"DNS:localhost", "IP:127.0.0.1"}, .for_server = true}))),
      client_pair_(Must(pki_.Issue("client", {.common_name = "plugin"}))),
      key_(Must(ParseMockKey("id=key-1,name=kek"))),
      socket_(dir_ / "kms.sock") {
  ::signal(SIGPIPE, SIG_IGN);  // the mock writes to connections that the plugin has closed
  flags_ = {{"--protocol", "kmip"},
            {"--serv-addr", absl::StrCat("127.0.0.1:", port())},
            {"--encryption-key-id", key_.id},
            {"--client-cert", client_pair_.certificate},
            {"--client-key", client_pair_.key},
            {"--ca", pki_.ca()},
            {"--sock", socket_},
            {"--timeout", "5s"},
            {"--debug", ""}};
}

PluginTest::~PluginTest() = default;

int PluginTest::MemoryKb() {
  int kb = 0;
#ifndef OKMS_SANITIZED
  const std::string text = plugin().ProcStatus("RssAnon");
  Must(absl::SimpleAtoi(text.substr(0, text.find(' ')), &kb), "no RssAnon");
#endif
  return kb;
}

void PluginTest::TearDown() {
  if (plugin_ != nullptr) {
    EXPECT_TRUE(plugin_->Running()) << "the plugin ended by itself:\n" << plugin_->Err();
    CheckLog();
    if (HasFailure()) std::cerr << "The plugin's log:\n" << plugin_->Err();
    plugin_.reset();
  }
  if (kms_ != nullptr) StopKms();
}

void PluginTest::StartKms(HandlerOptions handler) {
  MockKmsOptions options;
  options.handler = std::move(handler);
  StartKms(std::move(options));
}

void PluginTest::StartKms(MockKmsOptions options) {
  options.address = kms_address_;
  if (options.port == 0) options.port = port();
  if (options.certificate.empty()) options.certificate = server_pair_.certificate;
  if (options.key.empty()) options.key = server_pair_.key;
  if (options.client_ca.empty()) options.client_ca = pki_.ca();
  options.clients = &clients_;
  kms_ = Must(MockKms::Start(std::move(options)));
  kms_->handler().Put(key_);
}

void PluginTest::StopKms() {
  CheckCounts();
  kms_.reset();
}

void PluginTest::SetKeyState(kmip::State state) {
  key_.state = state;
  kms_->handler().Put(key_);
}

std::vector<std::string> PluginTest::Argv() const {
  std::vector<std::string> argv{PluginProgram()};
  for (const auto& [name, value] : flags_) {
    argv.push_back(name);
    if (!value.empty()) argv.push_back(value);
  }
  return argv;
}

void PluginTest::UseLabel(const std::string& label) {
  flags_.erase("--encryption-key-id");
  flags_["--encryption-key-label"] = label;
}

void PluginTest::LaunchPlugin(ChildOptions options) {
  if (options.argv.empty()) options.argv = Argv();
  plugin_ = Must(ChildProcess::Start(options));
}

void PluginTest::StartPlugin(ChildOptions options) {
  LaunchPlugin(std::move(options));
  Must(plugin_->WaitForLine(" serves "),
       absl::StrCat("the plugin does not start: ", plugin_->Err()));
}

std::optional<int> PluginTest::StopPlugin(int signal) {
  // gRPC's client looks at an idle connection every 5 seconds only, so it would not leave by
  // itself.
  client_.reset();
  plugin_->Signal(signal);
  const std::optional<int> exit_status = plugin_->Wait();
  CheckLog();
  plugin_.reset();
  return exit_status;
}

void PluginTest::StartReady() {
  StartPlugin();
  const absl::Status status = AwaitStatus(Code::kOk);
  Must(status.ok(), absl::StrCat("the plugin is not ready: ", status.ToString()));
}

PluginTest::Ended PluginTest::RunToEnd(ChildOptions options) {
  LaunchPlugin(std::move(options));
  const std::optional<int> exit_status = plugin_->Wait();
  Ended ended{exit_status, plugin_->Err(), plugin_->Out()};
  plugin_.reset();
  return ended;
}

std::unique_ptr<KmsClient> PluginTest::NewClient(const KmsClient::Options& options) const {
  return std::make_unique<KmsClient>(socket_, options);
}

KmsClient& PluginTest::client() {
  if (client_ == nullptr) client_ = NewClient();
  return *client_;
}

absl::Status PluginTest::AwaitStatus(Code code, std::chrono::milliseconds limit) {
  absl::Status last;
  WaitUntil(
      [&] {
        last = client().Status().status();
        return last.code() == code;
      },
      limit);
  return last;
}

bool PluginTest::AwaitKey(const std::string& key_id, std::chrono::milliseconds limit) {
  return WaitUntil(
      [&] {
        const auto status = client().Status();
        return status.ok() && status->key_id == key_id;
      },
      limit);
}

std::string PluginTest::NewPlaintext(std::size_t size) {
  std::string bytes(size, '\0');
  Must(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(size)) == 1,
       "no random bytes");
  if (size >= 16) plaintexts_.push_back(bytes);  // fewer may be there by chance
  return bytes;
}

void PluginTest::ExpectRoundTrip() { ExpectRoundTrip(client()); }

void PluginTest::ExpectRoundTrip(KmsClient& client) {
  const std::string plaintext = NewPlaintext();
  const auto record = client.Encrypt(plaintext);
  ASSERT_THAT(record, IsOk());
  const auto back = client.Decrypt(*record);
  ASSERT_THAT(back, IsOk());
  EXPECT_TRUE(*back == plaintext) << "decrypted to something else";
}

void PluginTest::CheckLog() {
  const std::string log = absl::StrCat(plugin_->Err(), plugin_->Out());
  for (const std::string& plaintext : plaintexts_) ExpectNoPlaintext(log, plaintext);
}

void PluginTest::CheckCounts() {
  const std::map<uint32_t, int> counts = kms_->handler().Counts();
  EXPECT_EQ(counts.count(kGet), 0U) << "the plugin has asked for the key itself";
}

}  // namespace okms::test
