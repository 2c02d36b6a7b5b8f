// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// okms-kms-call: one call of the KMS v2 service from the shell.
//
//   okms-kms-call --sock SOCKET status
//   okms-kms-call --sock SOCKET encrypt HEX
//   okms-kms-call --sock SOCKET decrypt < what encrypt printed
//
// Prints one JSON object, byte strings in hexadecimal. Exit status: 0, or 1 with {"error": ...}, or
// 2 for a wrong command line. For tests and demonstrations: it prints the plaintext it was asked
// for.

#include <exception>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "support/kms_client.h"

namespace okms::test {
namespace {

using nlohmann::json;

int PrintError(const absl::Status& status) {
  std::cout << json{{"error",
                     {{"code", absl::StatusCodeToString(status.code())},
                      {"message", std::string(status.message())}}}}
                   .dump()
            << std::endl;
  return 1;
}

int Print(const json& object) {
  std::cout << object.dump() << std::endl;
  return 0;
}

int Status(KmsClient& client) {
  const auto reply = client.Status();
  if (!reply.ok()) return PrintError(reply.status());
  return Print(
      {{"version", reply->version}, {"healthz", reply->healthz}, {"key_id", reply->key_id}});
}

int Encrypt(KmsClient& client, const std::string& hex) {
  const auto record = client.Encrypt(absl::HexStringToBytes(hex));
  if (!record.ok()) return PrintError(record.status());
  json annotations = json::object();
  for (const auto& [name, value] : record->annotations) {
    annotations[name] = absl::BytesToHexString(value);
  }
  return Print({{"ciphertext", absl::BytesToHexString(record->ciphertext)},
                {"key_id", record->key_id},
                {"annotations", annotations}});
}

int Decrypt(KmsClient& client) {
  const json input = json::parse(std::cin);
  Record record{absl::HexStringToBytes(input.at("ciphertext").get<std::string>()),
                input.at("key_id").get<std::string>(),
                {}};
  for (const auto& [name, value] : input.at("annotations").items()) {
    record.annotations[name] = absl::HexStringToBytes(value.get<std::string>());
  }
  const auto plaintext = client.Decrypt(record);
  if (!plaintext.ok()) return PrintError(plaintext.status());
  return Print({{"plaintext", absl::BytesToHexString(*plaintext)}});
}

int Main(int argc, char** argv) {
  CLI::App app("One call of the KMS v2 service", "okms-kms-call");
  std::string socket;
  std::string timeout_text = "3s";
  std::string hex;
  app.add_option("--sock", socket, "Path of the socket, or @name")->required();
  app.add_option("--timeout", timeout_text, "How long to wait, for example 500ms or 3s")
      ->capture_default_str();
  auto* status = app.add_subcommand("status", "Ask for the status");
  auto* encrypt = app.add_subcommand("encrypt", "Encrypt bytes");
  encrypt->add_option("HEX", hex, "The bytes, in hexadecimal")->required();
  app.add_subcommand("decrypt", "Decrypt what encrypt printed, from standard input");
  app.require_subcommand(1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  absl::Duration timeout;
  if (!absl::ParseDuration(timeout_text, &timeout)) {
    std::cerr << "okms-kms-call: --timeout " << timeout_text << ": no duration" << std::endl;
    return 2;
  }
  KmsClient client(socket, {.timeout = absl::ToChronoMilliseconds(timeout)});
  if (status->parsed()) return Status(client);
  if (encrypt->parsed()) return Encrypt(client, hex);
  return Decrypt(client);
}

}  // namespace
}  // namespace okms::test

int main(int argc, char** argv) {
  try {
    return okms::test::Main(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "okms-kms-call: " << error.what() << std::endl;
    return 2;
  }
}
