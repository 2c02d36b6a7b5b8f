// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the running plugin makes of signals.

#ifndef OKMS_APP_SIGNALS_H_
#define OKMS_APP_SIGNALS_H_

#include <functional>

#include "absl/status/status.h"
#include "base/log.h"
#include "control/event_loop.h"

namespace okms {

// Some end the loop, one is `reload`, and some are no more than a line. They must be blocked in
// every thread (BlockSignals). `log` must outlive the loop.
absl::Status HeedSignals(EventLoop& loop, const Logger& log, std::function<void()> reload);

}  // namespace okms

#endif  // OKMS_APP_SIGNALS_H_
