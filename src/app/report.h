// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Asks all rooms what they have seen.

#ifndef OKMS_APP_REPORT_H_
#define OKMS_APP_REPORT_H_

#include <string>

#include "app/key_file.h"
#include "app/kms.h"
#include "app/readiness.h"
#include "app/reload.h"
#include "app/socket.h"
#include "base/log_queue.h"
#include "base/recent_events.h"
#include "config/config.h"
#include "control/report.h"
#include "core/key_manager.h"
#include "net/credentials.h"
#include "sandbox/confine.h"
#include "service/kms_server.h"
#include "service/listener.h"

namespace okms {

struct ReportSources {
  const Config& config;
  const sandbox::Confinement& confinement;
  const LogQueue& log;
  const RecentEvents& recent;
  const Credentials& credentials;
  const KeyManager& keys;
  const Kms& kms;
  const Reload& reload;
  const KeyFile& key_file;
  const SocketWatch& socket;
  const std::string& pages_trouble;  // with the status pages; empty: none
  Readiness& readiness;
  const Listener& listener;
  KmsServer& server;
};

// All that is to be said in one line, as systemd shows it.
std::string StateLine(const ReportSources& sources, const Health& health);

// Everything as of now. Does not block; asks no KMS. On the main thread.
Report MakeReport(const ReportSources& sources);

}  // namespace okms

#endif  // OKMS_APP_REPORT_H_
