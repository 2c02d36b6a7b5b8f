// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The one way in which a file of certificates or a key is read.

#ifndef OKMS_NET_PEM_FILE_H_
#define OKMS_NET_PEM_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/secret.h"

namespace okms {

// A file and the option that named it, so that an error can say what to change.
struct NamedFile {
  std::string option;  // "--client-cert"
  std::string path;
  bool from_systemd = false;  // a credential: what can be mended is the file that the unit names

  // How a message names it.
  std::string Name() const;
  // kFailedPrecondition, "NAME: `why`".
  absl::Status Bad(absl::string_view why) const;
};

// What was in it, all from one moment, and not looked at yet. Wiped at the end: it may be a key.
struct PemFile {
  Secret content;
  bool all_can_read;  // every user of this machine

  absl::string_view text() const { return AsText(content.Reveal()); }
};

// Takes a regular file of 1 MiB at most and waits for nothing but its disk: for a plugin that reads
// it again while it serves. The path is opened once. Errors: kFailedPrecondition, one line that
// names the option, the file and the remedy; of a file that is written meanwhile, too;
// kPermissionDenied, the same, of one that may not be read.
absl::StatusOr<PemFile> ReadPemFile(const NamedFile& file);

}  // namespace okms

#endif  // OKMS_NET_PEM_FILE_H_
