// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The KMS of the configuration: what it takes to reach it, and what stands before it.

#ifndef OKMS_APP_KMS_H_
#define OKMS_APP_KMS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "config/config.h"
#include "core/backend.h"
#include "core/key_manager.h"
#include "net/credentials.h"
#include "net/io_loop.h"
#include "sandbox/landlock.h"

namespace okms {

// What the running plugin must still be able to reach. Loads the libraries that the protocol needs:
// call it before the sandbox. Errors: kFailedPrecondition, one line.
absl::StatusOr<sandbox::Reach> ReachOf(const Config& config);

// `credentials` and `io` must outlive it. ReachOf was called.
absl::StatusOr<std::unique_ptr<Backend>> MakeBackend(const Config& config,
                                                     const Credentials& credentials, IoLoop& io);

KeyPolicy KeyPolicyOf(const Config& config);

}  // namespace okms

#endif  // OKMS_APP_KMS_H_
