// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The KMS of the configuration: what it takes to reach it, and what stands before it.

#ifndef OKMS_APP_KMS_H_
#define OKMS_APP_KMS_H_

#include <deque>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "app/server_counters.h"
#include "config/config.h"
#include "core/backend.h"
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

// A backend for each server of the configuration, in its order, that shows these certificates. Also
// within the sandbox, at any time; not in a turn of `io`, which must outlive them, as must
// `counters`, one for each. ReachOf was called.
absl::StatusOr<std::vector<std::unique_ptr<Backend>>> MakeServers(
    const Config& config, const std::shared_ptr<const TlsContext>& tls,
    std::deque<ServerCounters>& counters, IoLoop& io);

struct Kms {
  std::unique_ptr<std::deque<ServerCounters>> counters;  // of the servers, in their order
  std::unique_ptr<Backend> backend;                      // for all calls; it owns what follows
  SharedDecrypts* shared = nullptr;
  std::vector<ReplaceableBackend*> servers;
};

// `credentials` and `io` must outlive it. Without usable certificates it answers why.
absl::StatusOr<Kms> MakeKms(const Config& config, const Credentials& credentials, IoLoop& io);

KeyPolicy KeyPolicyOf(const Config& config);

}  // namespace okms

#endif  // OKMS_APP_KMS_H_
