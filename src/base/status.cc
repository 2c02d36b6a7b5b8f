// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/status.h"

#include <openssl/err.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace okms {
namespace {

constexpr char kDetail[] = "okms/detail";  // the payload's type URL

// How PEM begins, and how that does in base64.
constexpr absl::string_view kPem = "-----BEGIN ";
constexpr absl::string_view kPemInBase64 = "LS0tLS1CRUdJTi";

// Where a private key's own base64 begins: PKCS #8 of elliptic curves, RSA and Ed25519, PKCS #1,
// SEC 1.
constexpr absl::string_view kKeysInBase64[] = {"AgEAM", "IBADA", "CAQAw",
                                               "IBAAK", "CAQEE", "AgEBB"};

// What of a key is enough to know it, as one line of its base64. A line of PEM has 64 characters.
constexpr std::size_t kLeast = 60;

bool BeginsAKey(absl::string_view text) {
  if (text.size() < kLeast || text[0] != 'M') return false;
  const auto is_base64 = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '+' || c == '/' || c == '=';
  };
  if (!std::all_of(text.begin(), text.begin() + kLeast, is_base64)) return false;
  return std::any_of(
      std::begin(kKeysInBase64), std::end(kKeysInBase64),
      [&](absl::string_view sign) { return absl::StrContains(text.substr(0, 16), sign); });
}

bool HoldsPem(absl::string_view text) {
  if (absl::StrContains(text, kPem) || absl::StrContains(text, kPemInBase64)) return true;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool begins =
        at == 0 ||
        (!absl::ascii_isalnum(static_cast<unsigned char>(text[at - 1])) && text[at - 1] != '/');
    if (begins && BeginsAKey(text.substr(at))) return true;
  }
  return false;
}

std::string Withheld(absl::string_view text) {
  return absl::StrCat("(PEM of ", text.size(), " bytes)");
}

}  // namespace

absl::Status ErrnoStatus(absl::StatusCode code, absl::string_view what, int error) {
  return absl::Status(code, absl::StrCat(what, ": ", std::generic_category().message(error)));
}

namespace {

absl::Status Remade(const absl::Status& from, absl::StatusCode code, absl::string_view message) {
  absl::Status status(code, message);
  const auto detail = from.GetPayload(kDetail);
  return detail ? WithDetail(std::move(status), std::string(*detail)) : status;
}

}  // namespace

absl::Status Annotate(const absl::Status& status, absl::string_view what) {
  if (status.ok()) return status;
  return Remade(status, status.code(), absl::StrCat(what, ": ", status.message()));
}

absl::Status Append(const absl::Status& status, absl::string_view what) {
  if (status.ok() || what.empty()) return status;
  return Remade(status, status.code(), absl::StrCat(status.message(), "; ", what));
}

absl::Status WithCode(const absl::Status& status, absl::StatusCode code) {
  return Remade(status, code, status.message());
}

absl::Status WithDetail(absl::Status status, absl::string_view detail) {
  status.SetPayload(kDetail, absl::Cord(detail));
  return status;
}

std::string Message(const absl::Status& status) {
  const auto detail = status.GetPayload(kDetail);
  return detail ? absl::StrCat(status.message(), " (", std::string(*detail), ")")
                : std::string(status.message());
}

std::string OpenSslErrors() {
  std::string text;
  while (const unsigned long error = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(error);
    absl::StrAppend(&text, text.empty() ? "" : "; ",
                    reason != nullptr ? std::string(reason) : absl::StrCat("error ", error));
  }
  return text.empty() ? "no further detail" : text;
}

std::string Printable(absl::string_view text, std::size_t limit) {
  // What is cut off need not be looked through, but for the end of what begins before.
  const bool cut = text.size() > limit;
  if (HoldsPem(cut ? text.substr(0, limit + kLeast) : text)) return Withheld(text);
  std::string out(text.substr(0, limit));
  for (char& c : out) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  if (cut) absl::StrAppend(&out, "... (", text.size(), " bytes)");
  return out;
}

std::string WithoutPem(absl::string_view text) {
  return HoldsPem(text) ? Withheld(text) : std::string(text);
}

std::string PrintableAddress(absl::string_view text) {
  const absl::string_view before_host = text.substr(0, text.rfind('@') + 1);
  return absl::StrContains(before_host, ':') ? "(with a user)" : Printable(text);
}

std::string Describe(const absl::Status& status) {
  return absl::StrCat(absl::StatusCodeToString(status.code()), ": ", Message(status));
}

}  // namespace okms
