// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "conformance/cases.h"
#include "conformance/target.h"
#include "conformance/wire.h"
#include "core/limits.h"

namespace okms::conformance {
namespace {

constexpr int kSilentClients = 30;

// That a new client is served, while these connections are there.
Verdict NewClientIsServed(Target& target, absl::string_view when) {
  const auto status = target.NewClient()->Status();
  return status.ok() ? Kept() : Broken(absl::StrCat(when, ": Status: ", Words(status.status())));
}

}  // namespace

Verdict LookAtUnknownMethods(Target& target) {
  for (const char* const method : {"/v2.KeyManagementService/Rotate", "/v2.Other/Status"}) {
    const auto answer = target.client().Call(method, "");
    if (absl::IsUnimplemented(answer.status())) continue;
    return Broken(
        absl::StrCat(method, ": ", answer.ok() ? "was answered" : Words(answer.status())));
  }
  return Kept();
}

Verdict LookAtUnknownFields(Target& target) {
  const std::string plaintext = NewPlaintext(kSeedSize);
  const auto record = target.client().Encrypt(plaintext);
  if (!record.ok()) return Unknown(absl::StrCat("Encrypt: ", Words(record.status())));
  for (const auto& [method, message] : std::vector<std::pair<std::string, std::string>>{
           {client::kStatusMethod, ""},
           {client::kEncryptMethod, client::EncryptMessage(plaintext, "uid")},
           {client::kDecryptMethod, client::DecryptMessage(*record, "uid")}}) {
    const auto answer = target.client().Call(method, message + UnknownField());
    if (!answer.ok()) return Broken(absl::StrCat(method, ": ", Words(answer.status())));
  }
  return Kept();
}

Verdict LookAtMalformedMessages(Target& target) {
  const std::string cut(
      "\x0A\x7F"
      "abc");  // of 127 bytes, three
  for (const char* const method : {client::kEncryptMethod, client::kDecryptMethod}) {
    const absl::Status answer = target.client().Call(method, cut).status();
    if (answer.ok()) return Broken(absl::StrCat(method, ": was answered"));
    if (absl::IsUnavailable(answer) || absl::IsDeadlineExceeded(answer)) {
      return Broken(absl::StrCat(method, ": ", Words(answer)));
    }
  }
  return Kept();
}

Verdict LookAtLargeMessages(Target& target) {
  const std::string large =
      client::EncryptMessage(std::string((std::size_t{4} << 20) + 1, 'x'), "");
  const absl::Status answer = target.NewClient()->Call(client::kEncryptMethod, large).status();
  if (answer.ok()) return Broken("4 MiB and a byte were encrypted");
  return absl::IsDeadlineExceeded(answer) ? Broken(Words(answer)) : Kept();
}

Verdict LookAtAuthorities(Target& target) {
  // The path itself, with its slashes escaped, as an apiserver before 1.32 sends it.
  std::string escaped;
  for (const char c : target.request().socket) {
    if (c == '/') {
      escaped += "%2F";
    } else {
      escaped.push_back(c);
    }
  }
  for (const std::string& authority : {escaped, std::string("localhost")}) {
    KmsClient client(target.request().socket, {.timeout = kCallTimeout, .authority = authority});
    const auto status = client.Status();
    if (!status.ok()) {
      return Broken(absl::StrCat(":authority ", authority, ": ", Words(status.status())));
    }
  }
  return Kept();
}

Verdict LookAtOtherProtocols(Target& target) {
  std::vector<UniqueFd> open;
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), std::string(256, '\0'),
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03", 11), NewPlaintext(4096)}) {
    auto connection = ConnectAndSend(target.request().socket, bytes);
    if (!connection.ok()) return Broken(Words(connection.status()));
    open.push_back(*std::move(connection));
    Verdict verdict = NewClientIsServed(target, "after bytes that are no HTTP/2");
    if (verdict.outcome != Outcome::kKept) return verdict;
  }
  return Kept();
}

Verdict LookAtSilentClients(Target& target) {
  std::vector<UniqueFd> open;
  for (int i = 0; i < kSilentClients; ++i) {
    auto connection = ConnectAndSend(target.request().socket, i % 2 == 0 ? "" : Http2Beginning());
    if (!connection.ok()) return Broken(Words(connection.status()));
    open.push_back(*std::move(connection));
  }
  return NewClientIsServed(target, absl::StrCat("with ", kSilentClients, " clients that hang"));
}

}  // namespace okms::conformance
