// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/signals.h"

#include <string.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms {

absl::Status HeedSignals(EventLoop& loop, const Logger& log, std::function<void()> reload) {
  for (const int signal : kStopSignals) {
    OKMS_RETURN_IF_ERROR(loop.OnSignal(signal, [&](int received) {
      log.Info(absl::StrCat("stopping: ", ::strsignal(received)));
      loop.Exit();
    }));
  }
  for (const int signal : kNotedSignals) {
    OKMS_RETURN_IF_ERROR(loop.OnSignal(signal, [&](int received) {
      log.Notice(absl::StrCat("SIG", ::sigabbrev_np(received),
                              ": means nothing here; SIGHUP has files read again"));
    }));
  }
  return loop.OnSignal(kReloadSignal, [&loop, reload = std::move(reload)](int) {
    reload();
    loop.Hurry();
  });
}

}  // namespace okms
