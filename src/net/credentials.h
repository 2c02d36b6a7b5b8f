// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How it is with the files by which the KMS knows us and we know the KMS, in words.

#ifndef OKMS_NET_CREDENTIALS_H_
#define OKMS_NET_CREDENTIALS_H_

#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/log.h"
#include "net/tls_context.h"
#include "net/validity.h"

namespace okms {

// What TlsContext::Create made of the files, or why it could not, and what the time does to that.
// Whoever asks gets the words of this moment.
class Credentials {
 public:
  using Tls = absl::StatusOr<std::shared_ptr<const TlsContext>>;

  explicit Credentials(Tls tls) : tls_(std::move(tls)) {}

  const Tls& tls() const { return tls_; }

  // What is wrong with time; empty: nothing. Thread-safe.
  std::string Trouble(std::time_t now = std::time(nullptr)) const;

  // For a line of state: until when they are good. Thread-safe.
  std::string Summary(std::time_t now = std::time(nullptr)) const;

  // Logs each remark once when it is due: as a warning before the end, as an error what is wrong
  // with time, and that it no longer is. A file that was renewed, or a clock that was set, begins
  // anew. Call it every now and then.
  void Tick(const Logger& log, std::time_t now = std::time(nullptr));

 private:
  const Tls tls_;
  std::vector<Validity::Remark> said_;  // at the last tick
};

}  // namespace okms

#endif  // OKMS_NET_CREDENTIALS_H_
