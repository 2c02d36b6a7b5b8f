// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What is looked at from time to time while the plugin runs.

#ifndef OKMS_APP_TICKS_H_
#define OKMS_APP_TICKS_H_

#include <chrono>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "app/bus.h"
#include "app/key_file.h"
#include "app/readiness.h"
#include "app/reload.h"
#include "app/service_state.h"
#include "app/socket.h"
#include "base/deadline.h"
#include "base/log.h"
#include "config/config.h"
#include "control/event_loop.h"
#include "control/watchdog.h"
#include "core/key_manager.h"
#include "net/credentials.h"
#include "net/lost_files.h"
#include "sandbox/landlock.h"
#include "service/kms_server.h"

namespace okms {

// How late work may be before the watchdog takes it for stuck, over and above --timeout: behind
// calls that take all of their time, one with less of it waits for as long as that.
inline constexpr std::chrono::seconds kLate{5};

// On the loop's thread.
class Ticks {
 public:
  struct Parts {
    const Config& config;
    const Logger& log;
    EventLoop& loop;
    Credentials& credentials;
    KeyManager& keys;
    KmsServer& server;
    SocketWatch& socket;
    Readiness& readiness;
    KeyFile& key_file;
    Reload& reload;
    ServiceState& state;
    const sandbox::Reach& reach;
    Bus* bus;  // null: none
    std::function<std::string(const Health&)> state_line;
  };

  // Make it within the sandbox. All parts must outlive it.
  explicit Ticks(const Parts& parts);

  // It must outlive the loop's Run.
  absl::Status Begin();

  // Why the loop was ended, if by one of these; else OK.
  const absl::Status& end() const { return end_; }

 private:
  Deadline LookAtKey();
  Deadline LookAtCertificates();
  Deadline LookAtSocket();
  Deadline LookAtResolverFiles();
  Deadline GiveUp();
  void End(absl::Status why);

  const Parts parts_;
  const Deadline give_up_;
  LostFiles resolver_files_;
  Deadline next_resolver_look_;
  Watchdog watchdog_;
  absl::Status end_;
};

}  // namespace okms

#endif  // OKMS_APP_TICKS_H_
