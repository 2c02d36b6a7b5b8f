// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/status_pages.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "control/metrics_text.h"
#include "control/report_json.h"
#include "core/key_id_hash.h"

namespace okms {
namespace {

HttpReply LivePage() { return {200, "text/plain; charset=utf-8", "ok\n"}; }

}  // namespace

HttpReply ReadyPage(const Verdict& verdict, Deadline now) {
  const bool ready = verdict.status.ok();
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(now - verdict.since).count();
  const nlohmann::ordered_json page{
      {"ready", ready},
      {"reason", ready ? "" : Printable(verdict.status.message(), 1000)},
      {"since_seconds", std::max<decltype(since)>(since, 0)},
      {"key_id_hash", KeyIdHash(verdict.key_id)},
  };
  return {ready ? 200 : 503, "application/json", page.dump() + "\n"};
}

HttpPages StatusPages(std::function<Verdict()> verdict,
                      std::map<std::string, std::function<HttpReply()>, std::less<>> others) {
  others["/livez"] = LivePage;
  others["/readyz"] = [verdict = std::move(verdict)] { return ReadyPage(verdict(), Clock::now()); };
  return [pages = std::move(others)](std::string_view path) -> HttpReply {
    if (const auto page = pages.find(path); page != pages.end()) return page->second();
    std::string there = "no such page; there are:\n";
    for (const auto& [name, page] : pages) there += name + "\n";
    return {404, "text/plain; charset=utf-8", there};
  };
}

absl::StatusOr<std::unique_ptr<StatusServer>> ServePages(const StatusSocket& at, EventLoop& loop,
                                                         std::function<Verdict()> verdict,
                                                         const std::function<Report()>& report,
                                                         const Logger& log) {
  if (!at.socket) return nullptr;
  log.Info(EventName::kStatusPages, absl::StrCat("status pages at ", at.socket->name()));
  std::map<std::string, std::function<HttpReply()>, std::less<>> others;
  others["/metrics"] = [report]() -> HttpReply {
    return {200, kMetricsType, MetricsText(report())};
  };
  others["/status"] = [report]() -> HttpReply {
    return {200, "application/json", ReportJson(report())};
  };
  return StatusServer::Start(loop, at.socket->fd(),
                             StatusPages(std::move(verdict), std::move(others)), log);
}

}  // namespace okms
