// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The KMS of the configuration: what it takes to reach it, and what stands before it.

#ifndef OKMS_APP_KMS_H_
#define OKMS_APP_KMS_H_

#include <deque>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "app/reload.h"
#include "app/server_counters.h"
#include "base/log.h"
#include "config/config.h"
#include "core/backend.h"
#include "core/failover.h"
#include "core/key_manager.h"
#include "core/replaceable_backend.h"
#include "core/shared_decrypts.h"
#include "net/credentials.h"
#include "net/io_loop.h"
#include "sandbox/landlock.h"

namespace okms {

// What the running plugin must still be able to reach. Loads the libraries that the protocol needs:
// call it before the sandbox. Errors: kFailedPrecondition, one line.
absl::StatusOr<sandbox::Reach> ReachOf(const Config& config);

struct Kms {
  std::unique_ptr<std::deque<ServerCounters>> counters;  // of the servers, in their order
  std::unique_ptr<Backend> backend;                      // for all calls; it owns what follows
  SharedDecrypts* shared = nullptr;
  std::vector<ReplaceableBackend*> servers;
  Failover* failover = nullptr;  // none with one server
};

// `credentials`, `log` and `io` must outlive it. Without usable certificates it answers why.
absl::StatusOr<Kms> MakeKms(const Config& config, const Credentials& credentials, const Logger& log,
                            IoLoop& io);

// Makes a host for each server of the configuration, in its order, that shows those certificates.
// It works within the sandbox, too, at any time but in a turn of `io`. All must outlive it and
// what it makes. `counters`: one for each server. ReachOf was called.
Reload::Maker HostMaker(const Config& config, std::deque<ServerCounters>& counters, IoLoop& io);

KeyPolicy KeyPolicyOf(const Config& config);

}  // namespace okms

#endif  // OKMS_APP_KMS_H_
