// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What a protocol is to the rest of the program.

#ifndef OKMS_CONFIG_PROTOCOL_H_
#define OKMS_CONFIG_PROTOCOL_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "config/flags.h"
#include "config/mistakes.h"
#include "net/host_port.h"
#include "net/tls_context.h"

namespace okms {

class Backend;
class IoLoop;
struct Config;
struct Server;
struct ServerCounters;

// A row of the table in app/protocols.cc. The parser is given the table, so that it needs nothing
// of what the protocols are made of.
struct Protocol {
  absl::string_view name;  // as --protocol takes it

  // Takes where the KMS is, and what else only this protocol knows how to read.
  void (*parse)(const RawFlags& raw, Config& config, Mistakes& mistakes);

  // What the running plugin must still be able to reach for that server. Loads the libraries that
  // it will need: call it before the sandbox. Errors: kFailedPrecondition, one line.
  absl::StatusOr<std::vector<HostPort>> (*hosts)(const Config& config, const Server& server);

  // Makes the KMS as that server is it, after `hosts`. The last two must outlive it.
  absl::StatusOr<std::unique_ptr<Backend>> (*make)(const Config& config, const Server& server,
                                                   std::shared_ptr<const TlsContext> tls,
                                                   ServerCounters& counters, IoLoop& io);

  bool keys_are_uuids = false;  // the ids of keys
};

}  // namespace okms

#endif  // OKMS_CONFIG_PROTOCOL_H_
