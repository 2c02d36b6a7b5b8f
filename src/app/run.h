// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The plugin, from its start to its end.

#ifndef OKMS_APP_RUN_H_
#define OKMS_APP_RUN_H_

#include "absl/status/status.h"
#include "app/service_state.h"
#include "base/log.h"
#include "base/log_queue.h"
#include "base/recent_events.h"
#include "config/config.h"

namespace okms {

// Returns after a signal to end: OK, or why it does not start, or cannot go on. Once, on the main
// thread, while there is no other one; afterwards the process is confined. `recent` sees what goes
// to `log`.
absl::Status Run(const Config& config, LogQueue& log_queue, const RecentEvents& recent,
                 const Logger& log, ServiceState& state);

}  // namespace okms

#endif  // OKMS_APP_RUN_H_
