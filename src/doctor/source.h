// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Where the plugin's configuration comes from: what the plugin itself would be started with.

#ifndef OKMS_DOCTOR_SOURCE_H_
#define OKMS_DOCTOR_SOURCE_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "net/socket_address.h"

namespace okms::doctor {

std::string DefaultUnit();

using Variables = std::map<std::string, std::string>;

// What somebody asked for. Without any of it: DefaultUnit().
struct Source {
  std::vector<std::string> flags;  // the plugin's own, after "--"
  std::string environment_file;    // systemd's EnvironmentFile=, which the flags come before
  std::string unit;                // a systemd service
};

// What was found there.
struct Found {
  std::vector<std::string> flags;
  Variables variables;
  bool own_environment = false;         // the variables of this process count as well
  std::optional<SocketAddress> socket;  // that systemd listens on
  std::string unit;                     // empty: none
  std::string user;                     // whom that one runs as; empty: root
  bool runs = false;                    // that unit, or tries to
  std::vector<std::string> passed;      // files that systemd reads for it, whoever may read them
  std::string Where() const;            // for a line
  std::string file;                     // the environment file, if it is that
};

// Reads it; asks systemctl(1), if need be. Errors: kFailedPrecondition, kNotFound, one line.
absl::StatusOr<Found> Find(const Source& source);

// Makes the environment of this process the one that the plugin would have. While there is one
// thread.
void Become(const Found& found);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_SOURCE_H_
