// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/signals.h"

#include <string.h>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms {

absl::Status HeedSignals(EventLoop& loop, const Logger& log, KeyFile& key_file) {
  for (const int signal : kStopSignals) {
    OKMS_RETURN_IF_ERROR(loop.OnSignal(signal, [&](int received) {
      log.Info(absl::StrCat("stopping: ", ::strsignal(received)));
      loop.Exit();
    }));
  }
  for (const int signal : kNotedSignals) {
    if (signal == SIGHUP && key_file.is_there()) {
      OKMS_RETURN_IF_ERROR(loop.OnSignal(signal, [&](int) {
        log.Notice(
            "SIGHUP: reading --encryption-key-id-file again; all else needs a restart of this "
            "service");
        key_file.Read();
      }));
      continue;
    }
    OKMS_RETURN_IF_ERROR(loop.OnSignal(signal, [&](int received) {
      log.Notice(absl::StrCat("SIG", ::sigabbrev_np(received),
                              ": nothing is read again while running; restart this service to "
                              "apply changes"));
    }));
  }
  return absl::OkStatus();
}

}  // namespace okms
