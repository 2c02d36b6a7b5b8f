// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// okms-mock-kms: a KMIP server, and if wanted an OKMS REST server of the same keys, to try the
// plugin with. Its keys are gone when it ends, and whoever has a certificate of its CA may use
// them: never for real data. On SIGUSR1 it says how often it was asked for what, by the names that
// KMIP has for it, and of REST "list", "get", "encrypt" and "decrypt". On SIGHUP it reads --keys
// again.

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "kmip/enums.h"
#include "mock_kms/mock_kms.h"
#include "mock_kms/mock_okms.h"
#include "mock_kms/rest_route.h"
#include "support/test_pki.h"

namespace okms::test {
namespace {

constexpr uint32_t kGetOperation = 0x0A;  // which is not among those that the plugin uses

struct Flags {
  uint16_t port = 0;
  std::string pki;
  std::vector<std::string> keys;
  std::string keys_file;
  std::string versions;
  std::string delay = "0";
  std::string item_delay = "0";
  int max_connections = 0;
  std::string surplus = "reset";
  std::string fault;
  std::string tag_below_1_4 = "data";
  bool cryptography_below_1_2 = false;
  bool hide_attributes = false;
  bool own_iv = false;
  bool answer_get = false;
  std::optional<uint16_t> rest_port;
  std::string okms_id = kDefaultOkmsId;
  std::size_t page_size = 100;
  std::string rest_fault;
};

// Makes the certificates unless they are there.
absl::Status MakePki(const std::string& directory) {
  std::filesystem::create_directories(directory);
  if (std::filesystem::exists(absl::StrCat(directory, "/ca.pem"))) return absl::OkStatus();
  OKMS_ASSIGN_OR_RETURN(TestPki pki, TestPki::Create(directory, "okms-mock-kms CA"));
  OKMS_RETURN_IF_ERROR(pki.Issue("server", {.common_name = "localhost",
                                            .names = {"DNS:localhost", "IP:127.0.0.1"},
                                            .for_server = true})
                           .status());
  return pki.Issue("client", {.common_name = "kms-plugin"}).status();
}

absl::StatusOr<MockKmsOptions> Options(const Flags& flags) {
  MockKmsOptions options;
  options.port = flags.port;
  options.certificate = absl::StrCat(flags.pki, "/server.pem");
  options.key = absl::StrCat(flags.pki, "/server.key");
  options.client_ca = absl::StrCat(flags.pki, "/ca.pem");
  absl::Duration delay;
  absl::Duration item_delay;
  if (!absl::ParseDuration(flags.delay, &delay) ||
      !absl::ParseDuration(flags.item_delay, &item_delay)) {
    return absl::InvalidArgumentError("--delay, --item-delay: give a duration, for example 5ms");
  }
  options.delay = absl::ToChronoMicroseconds(delay);
  options.item_delay = absl::ToChronoMicroseconds(item_delay);
  options.max_connections = flags.max_connections;
  options.surplus = flags.surplus == "reset" ? Surplus::kReset : Surplus::kSilent;
  if (!flags.versions.empty()) {
    options.handler.versions.clear();
    for (const absl::string_view text : absl::StrSplit(flags.versions, ',')) {
      const std::vector<std::string> parts = absl::StrSplit(text, '.');
      kmip::ProtocolVersion version;
      if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &version.major) ||
          !absl::SimpleAtoi(parts[1], &version.minor)) {
        return absl::InvalidArgumentError("--versions: give for example 1.4,1.2");
      }
      options.handler.versions.push_back(version);
    }
  }
  options.handler.cryptography_below_1_2 = flags.cryptography_below_1_2;
  options.handler.show_attributes = !flags.hide_attributes;
  options.handler.own_iv = flags.own_iv;
  options.handler.answer_get = flags.answer_get;
  options.handler.tag_below_1_4 = flags.tag_below_1_4 == "data"    ? TagBelow14::kInData
                                  : flags.tag_below_1_4 == "field" ? TagBelow14::kInField
                                                                   : TagBelow14::kDropped;
  return options;
}

absl::StatusOr<std::unique_ptr<MockOkms>> StartRest(const Flags& flags, const MockKmsOptions& kms,
                                                    KeyStore& keys) {
  std::optional<RestFault> fault;
  if (!flags.rest_fault.empty()) {
    OKMS_ASSIGN_OR_RETURN(fault, ParseRestFault(flags.rest_fault));
  }
  OKMS_ASSIGN_OR_RETURN(std::unique_ptr<MockOkms> okms,
                        MockOkms::Start({.port = *flags.rest_port,
                                         .certificate = kms.certificate,
                                         .key = kms.key,
                                         .client_ca = kms.client_ca,
                                         .delay = kms.delay,
                                         .okms_id = flags.okms_id,
                                         .page_size = flags.page_size},
                                        keys));
  okms->SetFault(fault);
  return okms;
}

// What it holds is from now on all that there is.
absl::Status ReadKeys(const std::string& path, KeyStore& keys) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("--keys ", path, ": cannot be read"));
  std::vector<MockKey> read;
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) continue;
    OKMS_ASSIGN_OR_RETURN(MockKey key, ParseMockKey(line));
    // Without material, a key that is there stays what it is.
    const std::optional<MockKey> known = keys.Find(key.id);
    if (known && line.find("material=") == std::string::npos) key.material = known->material;
    read.push_back(std::move(key));
  }
  // No key is away for a moment.
  for (const MockKey& key : read) keys.Put(key);
  for (const MockKey& key : keys.List()) {
    const bool stays = std::any_of(read.begin(), read.end(),
                                   [&](const MockKey& each) { return each.id == key.id; });
    if (!stays) keys.Remove(key.id);
  }
  return absl::OkStatus();
}

std::map<std::string, int> Counts(MockKms& kms, const MockOkms* okms) {
  std::map<std::string, int> counts;
  for (const auto& [operation, times] : kms.handler().Counts()) {
    const std::string name = kmip::ToString(static_cast<kmip::Operation>(operation));
    counts[operation == kGetOperation ? "Get" : absl::StrReplaceAll(name, {{" ", "-"}})] += times;
  }
  if (okms == nullptr) return counts;
  for (const RestRequest& request : okms->Requests()) {
    if (const auto call = CallOf(request)) ++counts[std::string(ToString(*call))];
  }
  return counts;
}

absl::Status Run(const Flags& flags) {
  // Blocked here, before any thread, so that they wait for sigwait.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGUSR1);
  sigaddset(&signals, SIGHUP);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);

  OKMS_RETURN_IF_ERROR(MakePki(flags.pki));
  OKMS_ASSIGN_OR_RETURN(const MockKmsOptions options, Options(flags));
  std::vector<MockKey> keys;
  for (const std::string& text : flags.keys) {
    OKMS_ASSIGN_OR_RETURN(MockKey key, ParseMockKey(text));
    keys.push_back(std::move(key));
  }
  std::optional<Fault> fault;
  if (!flags.fault.empty()) {
    OKMS_ASSIGN_OR_RETURN(fault, ParseFault(flags.fault));
  }
  OKMS_ASSIGN_OR_RETURN(const std::unique_ptr<MockKms> kms, MockKms::Start(options));
  for (MockKey& key : keys) kms->handler().Put(std::move(key));
  if (!flags.keys_file.empty()) {
    OKMS_RETURN_IF_ERROR(ReadKeys(flags.keys_file, kms->handler().keys()));
  }
  kms->SetFault(fault);
  std::unique_ptr<MockOkms> okms;  // after the KMS, whose keys it uses
  if (flags.rest_port) {
    OKMS_ASSIGN_OR_RETURN(okms, StartRest(flags, options, kms->handler().keys()));
  }
  std::cout << "listening on 127.0.0.1:" << kms->port() << std::endl;
  if (okms) std::cout << "REST on " << okms->url() << ", OKMS id " << okms->okms_id() << std::endl;

  while (true) {
    int received = 0;
    ::sigwait(&signals, &received);
    if (received == SIGHUP && !flags.keys_file.empty()) {
      const absl::Status status = ReadKeys(flags.keys_file, kms->handler().keys());
      if (!status.ok()) std::cerr << "okms-mock-kms: " << status.message() << std::endl;
      continue;
    }
    if (received != SIGUSR1) return absl::OkStatus();
    std::cout << "asked so far:";
    for (const auto& [what, times] : Counts(*kms, okms.get())) {
      std::cout << ' ' << what << ' ' << times;
    }
    std::cout << std::endl;
  }
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("A KMIP and OKMS REST server for trying and testing; never for real data",
               "okms-mock-kms");
  app.add_option("--port", flags.port,
                 "Port of KMIP on 127.0.0.1; 0 takes a free one, which is printed")
      ->capture_default_str();
  app.add_option(
         "--pki", flags.pki,
         "Folder of ca.pem, server.pem, server.key, client.pem, client.key; made if missing")
      ->required();
  app.add_option("--key", flags.keys,
                 "A key, as id=ID[,name=NAME][,bits=256][,state=Active][,usage=encrypt+decrypt]"
                 "[,material=HEX]; may be given again. REST shows those whose ID is a UUID");
  app.add_option("--keys", flags.keys_file,
                 "A file of such keys, one a line; read again on SIGHUP");
  app.add_option("--versions", flags.versions, "KMIP versions, in the order of the answer");
  app.add_option("--delay", flags.delay, "Time before each answer, for example 5ms");
  app.add_option("--item-delay", flags.item_delay,
                 "More of it for each item of a KMIP request, for example 1ms");
  app.add_option("--max-connections", flags.max_connections,
                 "KMIP connections at a time; 0 takes all that come")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--surplus", flags.surplus,
                 "What becomes of those beyond: reset, or taken and never answered")
      ->check(CLI::IsMember({"reset", "silent"}))
      ->capture_default_str();
  app.add_option("--fault", flags.fault,
                 "KIND[=REASON][:OPERATION][:TIMES], of KMIP; a wrong one lists them");
  app.add_option("--tag-below-1.4", flags.tag_below_1_4, "Where the GCM tag goes below KMIP 1.4")
      ->check(CLI::IsMember({"data", "field", "dropped"}))
      ->capture_default_str();
  app.add_flag("--cryptography-below-1.2", flags.cryptography_below_1_2,
               "Serve Encrypt and Decrypt in all versions");
  app.add_flag("--hide-attributes", flags.hide_attributes, "Refuse Get Attributes");
  app.add_flag("--own-iv", flags.own_iv, "Choose the IV instead of taking the client's");
  app.add_flag("--answer-get", flags.answer_get,
               "Answer Get, too, with a key of zeros: for plugins that insist on it");
  app.add_option("--rest-port", flags.rest_port,
                 "Serve the OKMS REST API too, on this port of 127.0.0.1; 0 takes a free one, "
                 "which is printed");
  app.add_option("--okms-id", flags.okms_id, "UUID of the OKMS in the paths of REST")
      ->capture_default_str();
  app.add_option("--page-size", flags.page_size, "Keys on a page of a list over REST, at most")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  app.add_option("--rest-fault", flags.rest_fault,
                 "KIND[=VALUE][:CALL][:TIMES], of REST; a wrong one lists them");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (const absl::Status status = Run(flags); !status.ok()) {
    std::cerr << "okms-mock-kms: " << status.message() << std::endl;
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace okms::test

int main(int argc, char** argv) {
  try {
    return okms::test::Main(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "okms-mock-kms: " << error.what() << std::endl;
    return 1;
  }
}
