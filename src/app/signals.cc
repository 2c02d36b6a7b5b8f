// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/signals.h"

#include <string.h>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms {

void ReadAgain(EventLoop& loop, KeyFile& key_file, Reload& reload) {
  key_file.Read();
  reload.Ask();
  loop.Hurry();
}

absl::Status HeedSignals(EventLoop& loop, const Logger& log, KeyFile& key_file, Reload& reload) {
  for (const int signal : kStopSignals) {
    OKMS_RETURN_IF_ERROR(loop.OnSignal(signal, [&](int received) {
      log.Info(EventName::kStopping, absl::StrCat("stopping: ", ::strsignal(received)));
      loop.Exit();
    }));
  }
  for (const int signal : kNotedSignals) {
    OKMS_RETURN_IF_ERROR(loop.OnSignal(signal, [&](int received) {
      log.Notice(EventName::kSignalIgnored,
                 absl::StrCat("SIG", ::sigabbrev_np(received),
                              ": means nothing here; SIGHUP has files read again"));
    }));
  }
  return loop.OnSignal(kReloadSignal, [&](int) { ReadAgain(loop, key_file, reload); });
}

}  // namespace okms
