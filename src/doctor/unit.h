// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A systemd service, as systemctl(1) tells of it: no D-Bus of our own, which root may lack.

#ifndef OKMS_DOCTOR_UNIT_H_
#define OKMS_DOCTOR_UNIT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace okms::doctor {

// A file that systemd hands to the service under a name.
struct Credential {
  std::string name;
  std::string path;        // as the unit has it: absolute, or to be looked for
  bool encrypted = false;  // only systemd can read it
};

struct Unit {
  std::string load_state;    // "loaded", "not-found"
  std::string active_state;  // "active"
  std::string user;
  std::vector<std::string> command;      // ExecStart=
  std::vector<std::string> environment;  // "NAME=VALUE"
  struct File {
    std::string path;
    bool optional = false;
  };
  std::vector<File> environment_files;
  std::vector<Credential> credentials;
  std::string listen;  // of a socket unit: the first path or name that it listens on
};

// Reads what `systemctl show` says.
Unit ParseShow(absl::string_view text);
// Of `systemctl cat`, since `show` prints none of them: what is passed to the service NAME.
std::vector<Credential> ParseCredentials(absl::string_view text, absl::string_view name);

// Asks for the first alone, or for both. `name` with its suffix. Errors: kNotFound, kUnavailable,
// one line.
absl::StatusOr<Unit> ShowUnit(const std::string& name);
absl::StatusOr<Unit> AskUnit(const std::string& name);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_UNIT_H_
