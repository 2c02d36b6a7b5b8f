// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the running plugin makes of signals.

#ifndef OKMS_APP_SIGNALS_H_
#define OKMS_APP_SIGNALS_H_

#include "absl/status/status.h"
#include "app/key_file.h"
#include "app/reload.h"
#include "base/log.h"
#include "control/event_loop.h"

namespace okms {

// What SIGHUP asks for: that the files of the key's id, certificates, key and CA are read again.
void ReadAgain(EventLoop& loop, KeyFile& key_file, Reload& reload);

// Some end the loop, one has files read again, and some are no more than a line. They must be
// blocked in every thread (BlockSignals). All that is handed over must outlive the loop's Run.
absl::Status HeedSignals(EventLoop& loop, const Logger& log, KeyFile& key_file, Reload& reload);

}  // namespace okms

#endif  // OKMS_APP_SIGNALS_H_
