// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/credentials.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "net/pem_file.h"
#include "net/system_roots.h"

namespace okms {

Credentials::Credentials(TlsFiles files)
    : files_(std::move(files)),
      watch_(files_.Paths()),
      system_roots_(files_.TrustSystemRoots() ? ReadSystemRoots() : nullptr),
      tls_(ReadAgain()) {}

Credentials::Tls Credentials::tls() const {
  return tls_.With([](const Tls& tls) { return tls; });
}

absl::Status Credentials::CheckReadAgain() const {
  for (const NamedFile& file : {files_.client_cert, files_.client_key, files_.ca}) {
    if (file.path.empty()) continue;
    const absl::Status read = ReadPemFile(file).status();
    if (absl::IsPermissionDenied(read)) {
      return absl::PermissionDeniedError(absl::StrCat(
          "renewed certificates will not be read: ", read.message(), ", or restart it for each"));
    }
  }
  return absl::OkStatus();
}

void Credentials::Use(std::shared_ptr<const TlsContext> tls) {
  tls_.With([&](Tls& current) { current = std::move(tls); });
}

std::string Credentials::Trouble(std::time_t now) const {
  const Tls tls = this->tls();
  const auto trouble = tls.ok() ? (*tls)->validity().At(now) : std::nullopt;
  return trouble ? trouble->Text() : "";
}

std::string Credentials::Summary(std::time_t now) const {
  const Tls tls = this->tls();
  return tls.ok() ? (*tls)->validity().Summary(now) : "";
}

void Credentials::Tick(const Logger& log, std::time_t now) {
  const Tls tls = this->tls();
  const std::vector<Validity::Remark> remarks =
      tls.ok() ? (*tls)->validity().Remarks(now) : std::vector<Validity::Remark>();
  for (const Validity::Remark& remark : remarks) {
    const auto same = [&](const Validity::Remark& said) {
      return said.what == remark.what && said.since == remark.since;
    };
    if (std::any_of(said_.begin(), said_.end(), same)) continue;
    log.Write({remark.wrong ? Severity::kError : Severity::kWarning,
               remark.wrong ? EventName::kCertificateInvalid : EventName::kCertificateEnds,
               remark.Text()});
  }
  for (const Validity::Remark& said : said_) {
    const auto same = [&](const Validity::Remark& remark) { return remark.what == said.what; };
    if (!said.wrong || std::any_of(remarks.begin(), remarks.end(), same)) continue;
    log.Notice(EventName::kCertificateValid, absl::StrCat("no longer: ", said.what));
  }
  said_ = remarks;
}

}  // namespace okms
