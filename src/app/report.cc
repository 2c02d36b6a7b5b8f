// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/report.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "core/failover_calls.h"
#include "core/health.h"
#include "core/key_health.h"
#include "core/key_id_hash.h"
#include "version.h"

namespace okms {
namespace {

using Wall = std::chrono::system_clock;

double Seconds(std::chrono::duration<double> duration) { return duration.count(); }

// When the program was loaded.
const Wall::time_point kStarted = Wall::now();

std::optional<double> Age(Deadline since, Deadline now) {
  if (since == Deadline()) return std::nullopt;
  return std::max(0.0, Seconds(now - since));
}

double AgeOf(Deadline since, Deadline now) { return Age(since, now).value_or(0); }

void AddKey(const ReportSources& from, const Health& health, Deadline now, Report& report) {
  const KeyStats stats = from.keys.Stats();
  const absl::Status verdict = from.readiness.At(health, from.socket.trouble(), now).status;
  report.ready = verdict.ok();
  report.reason = std::string(verdict.message());
  report.code = absl::StatusCodeToString(verdict.code());
  report.state = StateLine(from, health);
  report.key = {health.key_id, KeyIdHash(health.key_id), health.name_unproven};
  if (const auto& note = health.note; note && note->known && !health.key_id.empty()) {
    report.candidate = {KeyIdHash(note->candidate), note->wrong.ok(), note->text,
                        AgeOf(note->since, now)};
  }
  report.checks = {{"good", stats.good}, {"undecided", stats.undecided}, {"bad", stats.bad}};
  report.last_good_check_age = Age(stats.last_good, now);
  report.last_answer_age = Age(stats.last_answer, now);
  report.candidates = stats.candidates;
  report.adoptions = stats.adoptions;
  const OtherKeys::Counts others = from.keys.OtherDecrypts();
  for (const auto& [id, count] : others.by_key) report.other_decrypts[KeyIdHash(id)] = count;
  if (others.rest > 0) report.other_decrypts["other"] = others.rest;
  report.shared_decrypts = from.kms.shared->joined();
}

ReportedHost HostOf(const std::string& name, const Traffic& traffic) {
  ReportedHost host;
  host.name = name;
  const auto add = [&](const char* of, const Traffic::Step& step) {
    host.steps.push_back({of, step.took.Stats(), step.failed.value()});
  };
  add("resolve", traffic.resolve);
  add("connect", traffic.connect);
  add("handshake", traffic.handshake);
  add("request", traffic.request);
  host.dials = traffic.dials.value();
  host.connections = traffic.connections.value();
  host.requests = {{"succeeded", traffic.succeeded.value()},
                   {"refused", traffic.refused.value()},
                   {"failed", traffic.failed.value()}};
  host.retries = traffic.retries.value();
  host.turned_away = traffic.turned_away.value();
  return host;
}

void AddKmip(const kmip::Counters& counters, ReportedHost& host) {
  const auto waiting = [&](kmip::Rank rank) {
    return counters.waiting[static_cast<std::size_t>(rank)].value();
  };
  host.waiting = {{"check", waiting(kmip::Rank::kCheck)},
                  {"encrypt", waiting(kmip::Rank::kEncrypt)},
                  {"decrypt", waiting(kmip::Rank::kDecrypt)}};
  host.batch = counters.batch.Stats();
}

// One alone is as the way to the key is.
Failover::HostState StateOfTheOne(const ReportSources& from, const Health& health) {
  const std::optional<Trouble>& trouble = health.trouble;
  const std::string name = from.config.servers.front().Name();
  if (trouble && MeaningOf(trouble->status).meaning == Meaning::kFailed) {
    return {name, false, trouble->status, trouble->since};
  }
  return {name, true, absl::OkStatus(), Deadline()};
}

void AddHosts(const ReportSources& from, const Health& health, Deadline now, Report& report) {
  const std::vector<Failover::HostState> states = from.kms.failover != nullptr
                                                      ? from.kms.failover->Hosts()
                                                      : std::vector{StateOfTheOne(from, health)};
  for (std::size_t i = 0; i < states.size(); ++i) {
    const ServerCounters& counters = (*from.kms.counters)[i];
    ReportedHost host = HostOf(states[i].name, counters.traffic);
    if (report.protocol == "kmip") AddKmip(counters.kmip, host);
    host.up = states[i].up;
    host.trouble = std::string(states[i].trouble.message());
    host.age = Age(states[i].since, now);
    report.hosts.push_back(std::move(host));
  }
}

void AddCertificates(const Credentials& credentials, Report& report) {
  const Credentials::Tls tls = credentials.tls();
  if (!tls.ok()) return;
  for (const Validity::FileEnd& file : (*tls)->validity().Ends()) {
    report.certificates.push_back(
        {file.option, file.path, static_cast<double>(file.from), static_cast<double>(file.until)});
  }
}

void AddReload(const Reload& reload, Report& report) {
  report.reload = {reload.trouble(), reload.counts().used, reload.counts().refused};
}

void AddService(const ReportSources& from, Report& report) {
  const ServiceStats stats = from.server.Stats();
  for (const MethodStats& method : stats.methods) {
    report.methods.push_back({method.method, method.by_code, method.seconds});
  }
  report.calls_under_way = stats.under_way;
  report.calls_of_no_method = stats.other_calls;
  report.connections = stats.connections;
  report.connections_served = stats.served;
  report.connections_refused = {{"stranger", from.listener.refused().strangers},
                                {"too_many", from.listener.refused().too_many}};
  report.log_lines_left_out = {{"queue_full", from.log.LeftOut()}, {"repeated", stats.folded}};
}

}  // namespace

std::string StateLine(const ReportSources& sources, const Health& health) {
  std::string more;
  for (const std::string& fact :
       {sources.kms.failover == nullptr ? "" : sources.kms.failover->Outages(),
        sources.key_file.trouble(), sources.socket.trouble(), sources.pages_trouble,
        sources.reload.trouble(), sources.credentials.Summary(), sources.confinement.landlock}) {
    if (!fact.empty()) absl::StrAppend(&more, "; ", fact);
  }
  return StatusLine(health, Clock::now(), more);
}

Report MakeReport(const ReportSources& sources) {
  const Deadline now = Clock::now();
  Report report;
  report.version = kVersion;
  report.protocol = std::string(sources.config.protocol->name);
  report.now = Seconds(Wall::now().time_since_epoch());
  report.started = Seconds(kStarted.time_since_epoch());
  report.cpu_seconds = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  for (const Event& event : sources.recent.Events()) {
    const double age = report.now - Seconds(event.time.time_since_epoch());
    report.changes.push_back({std::string(Name(event.name)), event.text, age});
  }
  const Health health = sources.keys.Current();
  AddKey(sources, health, now, report);
  AddHosts(sources, health, now, report);
  AddCertificates(sources.credentials, report);
  AddReload(sources.reload, report);
  AddService(sources, report);
  report.landlock_abi = sources.confinement.landlock_abi;
  report.sandbox = sources.confinement.all;
  return report;
}

}  // namespace okms
