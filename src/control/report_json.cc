// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/report_json.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <optional>

#include "base/status.h"

namespace okms {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLongestText = 1000;  // bytes

Json Text(const std::string& text) { return Printable(text, kLongestText); }

// Seconds, to the millisecond.
Json Seconds(double value) { return std::round(value * 1000) / 1000; }
Json Seconds(const std::optional<double>& value) { return value ? Seconds(*value) : Json(); }

template <typename T>
Json Counts(const std::map<std::string, T>& counts) {
  Json json = Json::object();
  for (const auto& [name, count] : counts) json[Printable(name)] = count;
  return json;
}

// How many, their sum, and up to which value how many were (as Prometheus counts).
Json Of(const Distribution& distribution) {
  Json up_to = Json::object();
  uint64_t count = 0;
  for (std::size_t i = 0; i < distribution.counts.size(); ++i) {
    count += distribution.counts[i];
    if (i < distribution.bounds.size()) up_to[Json(distribution.bounds[i]).dump()] = count;
  }
  return {{"count", count}, {"sum", distribution.sum}, {"up_to", std::move(up_to)}};
}

Json Of(const ReportedKey& key) {
  return {{"id", Text(key.id)}, {"id_hash", key.id_hash}, {"label_proven", !key.label_unproven}};
}

Json Of(const ReportedCandidate& candidate) {
  return {{"id_hash", candidate.id_hash},
          {"works", candidate.works},
          {"text", Text(candidate.text)},
          {"age_seconds", Seconds(candidate.age)}};
}

Json Of(const ReportedChange& change) {
  return {
      {"event", change.event}, {"text", Text(change.text)}, {"age_seconds", Seconds(change.age)}};
}

Json Of(const ReportedHost& host) {
  Json steps = Json::object();
  for (const ReportedHost::Step& step : host.steps) {
    steps[step.name] = {{"seconds", Of(step.seconds)}, {"failures", step.failures}};
  }
  return {{"name", Text(host.name)},         {"up", host.up},
          {"trouble", Text(host.trouble)},   {"age_seconds", Seconds(host.age)},
          {"steps", std::move(steps)},       {"dials", host.dials},
          {"connections", host.connections}, {"requests", Counts(host.requests)},
          {"retries", host.retries},         {"turned_away", host.turned_away},
          {"waiting", Counts(host.waiting)}, {"batch_size", Of(host.batch)}};
}

Json Of(const ReportedMethod& method) {
  return {{"by_code", Counts(method.by_code)}, {"seconds", Of(method.seconds)}};
}

}  // namespace

std::string ReportJson(const Report& report) {
  Json changes = Json::array();
  for (const ReportedChange& change : report.changes) changes.push_back(Of(change));
  Json hosts = Json::array();
  for (const ReportedHost& host : report.hosts) hosts.push_back(Of(host));
  Json certificates = Json::array();
  for (const ReportedCertificate& certificate : report.certificates) {
    certificates.push_back({{"file", Text(certificate.file)},
                            {"path", Text(certificate.path)},
                            {"not_before", certificate.not_before},
                            {"not_after", certificate.not_after},
                            {"left_seconds", Seconds(certificate.not_after - report.now)}});
  }
  Json reload;
  if (report.reload) {
    reload = {{"trouble", Text(report.reload->trouble)},
              {"succeeded", report.reload->succeeded},
              {"failed", report.reload->failed}};
  }
  Json methods = Json::object();
  for (const ReportedMethod& method : report.methods) methods[method.name] = Of(method);

  const Json json = {
      {"version", report.version},
      {"protocol", report.protocol},
      {"now", Seconds(report.now)},
      {"started", Seconds(report.started)},
      {"cpu_seconds", Seconds(report.cpu_seconds)},
      {"ready", report.ready},
      {"reason", Text(report.reason)},
      {"code", report.code},
      {"state", Text(report.state)},
      {"changes", std::move(changes)},
      {"key", Of(report.key)},
      {"candidate", report.candidate ? Of(*report.candidate) : Json()},
      {"checks", Counts(report.checks)},
      {"last_good_check_age_seconds", Seconds(report.last_good_check_age)},
      {"last_answer_age_seconds", Seconds(report.last_answer_age)},
      {"candidates", report.candidates},
      {"adoptions", report.adoptions},
      {"shared_decrypts", report.shared_decrypts},
      {"other_decrypts", Counts(report.other_decrypts)},
      {"hosts", std::move(hosts)},
      {"certificates", std::move(certificates)},
      {"reload", std::move(reload)},
      {"methods", std::move(methods)},
      {"calls_under_way", report.calls_under_way},
      {"calls_of_no_method", report.calls_of_no_method},
      {"connections", report.connections},
      {"connections_served", report.connections_served},
      {"connections_refused", Counts(report.connections_refused)},
      {"log_lines_left_out", Counts(report.log_lines_left_out)},
      {"landlock_abi", report.landlock_abi},
      {"sandbox", Text(report.sandbox)},
  };
  return json.dump() + "\n";
}

}  // namespace okms
