// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/pem_certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms {
namespace {

constexpr absl::string_view kBegin = "-----BEGIN ";

// "CERTIFICATE", or one of the names that OpenSSL gave it once; not "CERTIFICATE REQUEST".
bool BeginsCertificate(absl::string_view line) {
  return absl::StartsWith(line, kBegin) &&
         absl::EndsWith(absl::StripTrailingAsciiWhitespace(line), "CERTIFICATE-----");
}

// Where the line after the one at `at` begins, or the end.
std::size_t NextLine(absl::string_view text, std::size_t at) {
  const std::size_t end = text.find('\n', at);
  return end == absl::string_view::npos ? text.size() : end + 1;
}

}  // namespace

std::vector<PemCertificate> FindCertificates(absl::string_view pem) {
  std::vector<PemCertificate> found;
  int line = 0;
  std::size_t next = 0;
  for (std::size_t at = 0; at < pem.size(); at = next) {
    next = NextLine(pem, at);
    ++line;
    if (!BeginsCertificate(pem.substr(at, next - at))) continue;
    // Up to the next one: what has no end must not take that one along.
    const std::size_t end = std::min(pem.find(absl::StrCat("\n", kBegin), at), pem.size());
    found.push_back({pem.substr(at, end - at), line});
  }
  return found;
}

absl::StatusOr<std::vector<X509Ptr>> ReadCertificates(absl::string_view pem) {
  std::vector<X509Ptr> certificates;
  for (const auto& [text, line] : FindCertificates(pem)) {
    ERR_clear_error();
    const BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    X509Ptr certificate(bio ? PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr)
                            : nullptr);
    if (!certificate) {
      return absl::InvalidArgumentError(absl::StrCat("certificate ", certificates.size() + 1,
                                                     " (line ", line, ") is broken (",
                                                     OpenSslErrors(), ")"));
    }
    certificates.push_back(std::move(certificate));
  }
  if (certificates.empty()) return absl::NotFoundError("no PEM certificate");
  return certificates;
}

}  // namespace okms
