// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The pages that the plugin shows of itself.

#ifndef OKMS_APP_STATUS_PAGES_H_
#define OKMS_APP_STATUS_PAGES_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "app/readiness.h"
#include "app/status_socket.h"
#include "base/deadline.h"
#include "base/log.h"
#include "control/event_loop.h"
#include "control/http_pages.h"
#include "control/report.h"
#include "control/status_server.h"

namespace okms {

// 200 or 503, by the verdict, with the reason as JSON.
HttpReply ReadyPage(const Verdict& verdict, Deadline now);

// /livez, which says "ok", since whoever answers it is the event loop; /readyz, for which `verdict`
// is asked; and those of `others`, by their path.
HttpPages StatusPages(std::function<Verdict()> verdict,
                      std::map<std::string, std::function<HttpReply()>, std::less<>> others = {});

// Serves them at the socket, if there is one, and /metrics and /status, for which `report` is
// asked; null when there is none. All must outlive the server.
absl::StatusOr<std::unique_ptr<StatusServer>> ServePages(const StatusSocket& at, EventLoop& loop,
                                                         std::function<Verdict()> verdict,
                                                         const std::function<Report()>& report,
                                                         const Logger& log);

}  // namespace okms

#endif  // OKMS_APP_STATUS_PAGES_H_
