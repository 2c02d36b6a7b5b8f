// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One request over REST, to see what the backend hides.

#ifndef OKMS_DOCTOR_REST_PROBE_H_
#define OKMS_DOCTOR_REST_PROBE_H_

#include <chrono>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "config/config.h"
#include "net/io_loop.h"
#include "net/tls_context.h"

namespace okms::doctor {

struct RestAnswer {
  int status;                                 // of HTTP
  absl::Status sense;                         // kDataLoss: it is not the OKMS API that answers
  std::optional<std::chrono::seconds> ahead;  // its clock of ours, by the Date of the answer
};

// Asks for the first page of keys, with the plugin's own client, and without trying again. Blocks
// until the deadline at most. Errors: those of HttpClient.
absl::StatusOr<RestAnswer> AskRest(const Config& config, const Server& server,
                                   std::shared_ptr<const TlsContext> tls, IoLoop& io,
                                   Deadline deadline);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_REST_PROBE_H_
