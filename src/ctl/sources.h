// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Who can be asked how the plugin is, in which order.

#ifndef OKMS_CTL_SOURCES_H_
#define OKMS_CTL_SOURCES_H_

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "config/status_listen.h"
#include "ctl/report.h"
#include "net/socket_address.h"

namespace CLI {
class App;
}

namespace okms::ctl {

// As somebody typed it; empty: where the units have it.
struct Places {
  std::string socket;    // of kube-apiserver: /path, unix:///path or @name
  std::string status;    // of the status pages: unix:/path, /path or host:port
  std::string instance;  // whose units they are

  std::string Unit() const;    // the service's name
  std::string Folder() const;  // its name below /etc and /run
};

// --socket, --status and --instance.
void AddPlaces(CLI::App& command, Places& places);
// Without --status.
void AddSocketPlace(CLI::App& command, Places& places);

// Where kube-apiserver connects: as somebody named it, else where there is a socket now, else where
// the unit will have it. Errors: kInvalidArgument, a line that begins with the option.
absl::StatusOr<SocketAddress> SocketOf(const Places& places);

struct Source {
  std::string name;  // for a line
  std::function<absl::StatusOr<Json>(Deadline)> ask;
};

// The first is who knows the most. Where places were named, nobody else is asked: it may be another
// plugin. Errors: kInvalidArgument, a line that begins with the option.
absl::StatusOr<std::vector<Source>> SourcesOf(const Places& places);

// The status pages at a place.
Source Pages(const StatusListen& place);
// Those who know all, where the units have them.
std::vector<Source> ReportsOf(const Places& places);

struct Found {
  std::string source;
  Json report;
};

// Of the first source that answers. Blocks for some seconds at the longest, for each. Errors, with
// a line for each source: kPermissionDenied when one of them is for others; else kUnavailable.
absl::StatusOr<Found> Ask(std::span<const Source> sources);

}  // namespace okms::ctl

#endif  // OKMS_CTL_SOURCES_H_
