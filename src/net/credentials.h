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

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/guarded.h"
#include "base/log.h"
#include "net/file_watch.h"
#include "net/tls_context.h"
#include "net/validity.h"

namespace okms {

// What TlsContext::Create made of the files, or why it could not, and what the time does to that.
// Whoever asks gets the words of this moment.
class Credentials {
 public:
  using Tls = absl::StatusOr<std::shared_ptr<const TlsContext>>;

  // Reads the files, and what of the system is out of reach later.
  explicit Credentials(TlsFiles files);

  // What is used. Thread-safe.
  Tls tls() const;

  // Whether they are other ones than when this was last asked, or when they were first read. For
  // one thread.
  bool FilesChanged() { return watch_.Changed(); }
  // What the files hold now: a candidate, which nobody uses yet. Within the sandbox, too.
  Tls ReadAgain() const { return TlsContext::Create(files_, system_roots_); }
  // Whether that will be possible: within the sandbox a file may be out of reach that could be read
  // before, by root. Errors: kPermissionDenied, one line with the remedy. For the start.
  absl::Status CheckReadAgain() const;
  // Has that one take the place of the one before. Thread-safe.
  void Use(std::shared_ptr<const TlsContext> tls);

  // What is wrong with time; empty: nothing. Thread-safe.
  std::string Trouble(std::time_t now = std::time(nullptr)) const;

  // For a line of state: until when they are good. Thread-safe.
  std::string Summary(std::time_t now = std::time(nullptr)) const;

  // Logs each remark once when it is due: as a warning before the end, as an error what is wrong
  // with time, and that it no longer is. A file that was renewed, or a clock that was set, begins
  // anew. Call it every now and then.
  void Tick(const Logger& log, std::time_t now = std::time(nullptr));

 private:
  const TlsFiles files_;
  FileWatch watch_;                                               // from before they were read
  const std::shared_ptr<const UnreadCertificates> system_roots_;  // null: they are not trusted
  Guarded<Tls> tls_;
  std::vector<Validity::Remark> said_;  // at the last tick
};

}  // namespace okms

#endif  // OKMS_NET_CREDENTIALS_H_
