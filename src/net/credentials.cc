// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/credentials.h"

#include <optional>

#include "absl/strings/str_cat.h"

namespace okms {

std::string Credentials::Trouble(std::time_t now) const {
  const auto trouble = tls_.ok() ? (*tls_)->validity().At(now) : std::nullopt;
  return trouble ? trouble->Text() : "";
}

std::string Credentials::Summary(std::time_t now) const {
  return tls_.ok() ? (*tls_)->validity().Summary(now) : "";
}

void Credentials::Tick(const Logger& log, std::time_t now) {
  const auto trouble = tls_.ok() ? (*tls_)->validity().At(now) : std::nullopt;
  const std::string what = trouble ? trouble->what : "";
  if (what == said_) return;
  if (trouble) {
    log.Error(trouble->Text());
  } else {
    log.Notice(absl::StrCat("no longer: ", said_));
  }
  said_ = what;
}

}  // namespace okms
