// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What is looked at, and what was seen so far: each check leaves here what those below it need.

#ifndef OKMS_DOCTOR_EXAMINATION_H_
#define OKMS_DOCTOR_EXAMINATION_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "app/server_counters.h"
#include "base/deadline.h"
#include "config/config.h"
#include "core/backend.h"
#include "core/round_trip.h"
#include "doctor/encryption_config.h"
#include "doctor/in_use.h"
#include "doctor/kmip_probe.h"
#include "doctor/source.h"
#include "net/address.h"
#include "net/host_port.h"
#include "net/io_loop.h"
#include "net/tls_context.h"

namespace okms::doctor {

struct Examination;

struct Request {
  Source source;
  std::string key_id;             // to prove that one and leave the plugin alone; empty: the plugin
  std::string as_user;            // who is to connect; empty: nobody but us
  std::string encryption_config;  // kube-apiserver's file; empty: none
  // Asks the running plugin. Errors: kPermissionDenied; kUnavailable, with a line for each way.
  std::function<absl::StatusOr<InUse>(const Examination& all)> ask_in_use = nullptr;
};

// One host of the KMS.
struct Endpoint {
  std::string name;
  const Server* server = nullptr;
  HostPort target;       // whom to connect to: the host itself, or the proxy before it
  bool proxied = false;  // perhaps by one whose address only libcurl knows

  std::vector<Address> addresses;
  std::optional<Address> reached;             // the first of them that takes connections
  absl::Status answer;                        // to the first request
  std::string version;                        // "KMIP 1.4"
  std::optional<std::chrono::seconds> ahead;  // the KMS's clock of ours
  std::unique_ptr<KmipProbe> kmip;

  std::unique_ptr<ServerCounters> counters = std::make_unique<ServerCounters>();
  std::unique_ptr<Backend> backend;
  std::string key_id;
  std::optional<KeyInfo> key;  // none: the KMS does not show it
  absl::Status hidden;         // why not
  std::optional<Trip> trip;    // with that key
};

// "12ms", for a line.
std::string TookText(Clock::duration took);

// `okms-kms-ctl check`, as it was asked for.
std::string CheckCommand(const Request& request);

// For one thread.
struct Examination {
  explicit Examination(Request asked) : request(std::move(asked)) {}

  // By when one step has to be done.
  Deadline NextDeadline() const { return Clock::now() + config->timeout; }
  // Commands: to correct the configuration; to start the plugin with it, and to see how that one is
  // and what it says. An environment file is of no service.
  std::string EditCommand() const;
  std::string StartCommand() const;
  std::string StatusCommand() const;
  std::string LogCommand() const;
  // To have it take a file anew.
  std::string ReloadCommand(const std::string& path) const;
  // The same check as root, who sees more; and of another key.
  std::string AsRoot() const { return "sudo " + CheckCommand(request); }
  std::string WithAnotherKey() const;
  // Whom the plugin is to be.
  std::string User() const;
  const SocketAddress& socket() const { return found.socket ? *found.socket : config->socket; }

  const Request request;
  Found found;
  std::optional<Config> config;
  TlsContext::Reading files;
  std::shared_ptr<const TlsContext> tls;  // what the files hold, if that is good
  std::optional<EncryptionConfig> apiserver;
  std::unique_ptr<IoLoop> io;       // once it is needed
  std::vector<Endpoint> endpoints;  // use it: they go first
};

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_EXAMINATION_H_
