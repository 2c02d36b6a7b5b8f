// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Made anew each time that somebody asks: nothing of Prometheus is on the way of a call. Its format
// is written here rather than by prometheus-cpp, whose library in Debian brings a second C++
// runtime into the process, which has its own linked in; promtool judges it in the tests.

#include "control/metrics_text.h"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"

namespace okms {
namespace {

using Labels = std::vector<std::pair<const char*, std::string>>;

constexpr char kCounter[] = "counter";
constexpr char kGauge[] = "gauge";
constexpr char kHistogram[] = "histogram";

// One family after the other, each with its series.
class Families {
 public:
  // `help` needs no escapes.
  void Begin(const char* name, const char* type, const char* help) {
    name_ = name;
    absl::StrAppend(&text_, "# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
  }
  template <typename T>
  void Add(T value, const Labels& labels) {
    AddSeries("", labels, Number(value));
  }
  // A family of one series without labels; of none, where there is no value.
  template <typename T>
  void One(const char* name, const char* type, const char* help, T value) {
    Begin(name, type, help);
    Add(value, {});
  }
  void One(const char* name, const char* type, const char* help, std::optional<double> value) {
    Begin(name, type, help);
    if (value) Add(*value, {});
  }
  void AddDistribution(const Distribution& distribution, const Labels& labels) {
    uint64_t count = 0;
    for (std::size_t i = 0; i < distribution.counts.size(); ++i) {
      count += distribution.counts[i];
      const bool last = i == distribution.bounds.size();
      AddSeries("_bucket", With(labels, "le", last ? "+Inf" : Number(distribution.bounds[i])),
                Number(count));
    }
    AddSeries("_sum", labels, Number(distribution.sum));
    AddSeries("_count", labels, Number(count));
  }
  // One series for each entry, by that label.
  template <typename T>
  void AddAll(const std::map<std::string, T>& values, const char* label,
              const Labels& labels = {}) {
    for (const auto& [name, value] : values) Add(value, With(labels, label, name));
  }

  static Labels With(Labels labels, const char* name, std::string value) {
    labels.emplace_back(name, std::move(value));
    return labels;
  }

  std::string Text() && { return std::move(text_); }

 private:
  static std::string Number(bool value) { return value ? "1" : "0"; }
  static std::string Number(double value) { return absl::StrFormat("%.15g", value); }
  template <typename T>
  static std::string Number(T value) {
    return absl::StrCat(value);
  }

  void AddSeries(const char* suffix, const Labels& labels, const std::string& value) {
    absl::StrAppend(&text_, name_, suffix);
    const char* before = "{";
    for (const auto& [name, text] : labels) {
      absl::StrAppend(&text_, std::exchange(before, ","), name, "=\"",
                      absl::StrReplaceAll(Printable(text), {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"");
    }
    absl::StrAppend(&text_, labels.empty() ? " " : "} ", value, "\n");
  }

  const char* name_ = "";
  std::string text_;
};

void AddProcess(const Report& report, Families& out) {
  out.Begin("okms_kms_build_info", kGauge, "Version and protocol of the running plugin; always 1.");
  out.Add(1, {{"version", report.version}, {"protocol", report.protocol}});
  out.One("process_start_time_seconds", kGauge, "When the process started, as Unix time.",
          report.started);
  out.One("process_cpu_seconds_total", kCounter, "CPU time that the process has used.",
          report.cpu_seconds);
  out.One("okms_kms_sandbox_landlock_abi", kGauge,
          "Version of Landlock that confines the process; 0: this kernel has none.",
          report.landlock_abi);
  out.Begin("okms_kms_log_lines_left_out_total", kCounter,
            "Log lines not written, since nobody read the log in time (queue_full) or since they "
            "said what others had said (repeated).");
  out.AddAll(report.log_lines_left_out, "reason");
}

void AddKey(const Report& report, Families& out) {
  out.One("okms_kms_ready", kGauge,
          "1 while Status of KMS v2 answers that all is well, and who asks can connect; else "
          "kube-apiserver is not ready.",
          report.ready);
  out.Begin(
      "okms_kms_status_info", kGauge,
      "The gRPC code that Status of KMS v2 answers now, or would if anybody could ask; always 1.");
  out.Add(1, {{"code", report.code}});
  out.Begin("okms_kms_key_info", kGauge,
            "The key that encrypts, by the hash that kube-apiserver's metrics have; always 1, and "
            "missing while there is no key.");
  if (!report.key.id_hash.empty()) {
    out.Add(1, {{"key_id_hash", report.key.id_hash},
                {"label_proven", report.key.label_unproven ? "false" : "true"}});
  }
  out.Begin("okms_kms_key_candidate_age_seconds", kGauge,
            "For how long the key's name has led to something else than the key in use; missing "
            "while it does not. works=\"true\": that key is to be adopted.");
  if (report.candidate) {
    out.Add(report.candidate->age, {{"key_id_hash", report.candidate->id_hash},
                                    {"works", report.candidate->works ? "true" : "false"}});
  }
  out.One("okms_kms_key_candidates_total", kCounter,
          "Keys that were to take the place of the one in use.", report.candidates);
  out.One("okms_kms_key_adoptions_total", kCounter,
          "Keys that were taken into use, the first one among them.", report.adoptions);
  out.Begin("okms_kms_checks_total", kCounter,
            "Checks of the key and its name that have ended; undecided: one that proved a new key "
            "once.");
  out.AddAll(report.checks, "outcome");
  out.One("okms_kms_last_good_check_age_seconds", kGauge,
          "Time since a check last found all well; missing before the first one.",
          report.last_good_check_age);
  out.One("okms_kms_last_answer_age_seconds", kGauge,
          "Time since the KMS last answered anything with success; missing before that.",
          report.last_answer_age);
  out.Begin("okms_kms_other_key_decrypts_total", kCounter,
            "Records decrypted under keys that are not the one in use: while this grows, that key "
            "is still needed. key_id_hash=\"other\": of all further keys.");
  out.AddAll(report.other_decrypts, "key_id_hash");
}

void AddService(const Report& report, Families& out) {
  out.Begin("okms_kms_requests_total", kCounter,
            "Calls of KMS v2 that were answered, by method and gRPC code.");
  for (const ReportedMethod& method : report.methods) {
    out.AddAll(method.by_code, "code", {{"method", method.name}});
  }
  out.Begin("okms_kms_request_duration_seconds", kHistogram,
            "Time from the arrival of a call of KMS v2 to its answer, whatever that was.");
  for (const ReportedMethod& method : report.methods) {
    out.AddDistribution(method.seconds, {{"method", method.name}});
  }
  out.One("okms_kms_requests_in_flight", kGauge, "Calls of KMS v2 without an answer yet.",
          report.calls_under_way);
  out.One("okms_kms_requests_unknown_total", kCounter,
          "Calls that are not of KMS v2: kube-apiserver may be configured for v1.",
          report.calls_of_no_method);
  out.One("okms_kms_shared_decrypts_total", kCounter,
          "Decrypts answered by the KMS's answer to the same question of another call.",
          report.shared_decrypts);
  out.One("okms_kms_client_connections", kGauge, "Connections of clients that are open.",
          report.connections);
  out.One("okms_kms_client_connections_total", kCounter, "Connections of clients taken in.",
          report.connections_served);
  out.Begin("okms_kms_client_connections_refused_total", kCounter,
            "Connections closed at once: of who may not connect (stranger), or has too many.");
  out.AddAll(report.connections_refused, "reason");
}

void AddHosts(const Report& report, Families& out) {
  const auto each = [&](const char* name, const char* type, const char* help, auto&& add) {
    out.Begin(name, type, help);
    for (const ReportedHost& host : report.hosts) add(host, Labels{{"host", host.name}});
  };
  each("okms_kms_endpoint_up", kGauge, "1 while that host of the KMS is used, or would be.",
       [&](const ReportedHost& host, const Labels& labels) { out.Add(host.up, labels); });
  each("okms_kms_endpoint_state_age_seconds", kGauge,
       "For how long the host has been up, or not; missing where that is not known.",
       [&](const ReportedHost& host, const Labels& labels) {
         if (host.age) out.Add(*host.age, labels);
       });
  each("okms_kms_backend_step_duration_seconds", kHistogram,
       "Time of each step to the KMS that went well: resolve its name, connect, handshake (TLS), "
       "request (until it is answered).",
       [&](const ReportedHost& host, const Labels& labels) {
         for (const auto& step : host.steps) {
           out.AddDistribution(step.seconds, Families::With(labels, "step", step.name));
         }
       });
  each("okms_kms_backend_step_failures_total", kCounter, "Steps to the KMS that failed.",
       [&](const ReportedHost& host, const Labels& labels) {
         for (const auto& step : host.steps)
           out.Add(step.failures, Families::With(labels, "step", step.name));
       });
  each("okms_kms_backend_dials_total", kCounter,
       "Connections to the KMS that were begun, one for each address that was tried.",
       [&](const ReportedHost& host, const Labels& labels) { out.Add(host.dials, labels); });
  each("okms_kms_backend_connections", kGauge, "Connections to the KMS that are open.",
       [&](const ReportedHost& host, const Labels& labels) { out.Add(host.connections, labels); });
  each("okms_kms_backend_requests_total", kCounter,
       "Operations asked of the KMS: succeeded, refused by its answer, or failed without one that "
       "is of use.",
       [&](const ReportedHost& host, const Labels& labels) {
         out.AddAll(host.requests, "outcome", labels);
       });
  each("okms_kms_backend_retries_total", kCounter, "Operations asked of the KMS once more.",
       [&](const ReportedHost& host, const Labels& labels) { out.Add(host.retries, labels); });
  each("okms_kms_backend_turned_away_total", kCounter,
       "Operations that never left: too many were waiting for the KMS.",
       [&](const ReportedHost& host, const Labels& labels) { out.Add(host.turned_away, labels); });
  each("okms_kms_backend_waiting", kGauge,
       "Operations that wait for a session with the KMS (KMIP), by rank: checks go first, then "
       "Encrypts.",
       [&](const ReportedHost& host, const Labels& labels) {
         out.AddAll(host.waiting, "rank", labels);
       });
  each("okms_kms_backend_batch_size", kHistogram,
       "Operations that travelled in one request to the KMS (KMIP).",
       [&](const ReportedHost& host, const Labels& labels) {
         if (!host.batch.counts.empty()) out.AddDistribution(host.batch, labels);
       });
}

void AddFiles(const Report& report, Families& out) {
  out.Begin("okms_kms_certificate_not_before_timestamp_seconds", kGauge,
            "From when that certificate is good, as Unix time.");
  for (const ReportedCertificate& certificate : report.certificates) {
    out.Add(certificate.not_before, {{"file", certificate.file}});
  }
  out.Begin("okms_kms_certificate_not_after_timestamp_seconds", kGauge,
            "When the last good certificate of that file in use expires, as Unix time.");
  for (const ReportedCertificate& certificate : report.certificates) {
    out.Add(certificate.not_after, {{"file", certificate.file}});
  }
  if (!report.reload) return;
  out.Begin("okms_kms_reloads_total", kCounter, "Changes of the files that were looked at.");
  out.Add(report.reload->succeeded, {{"outcome", "succeeded"}});
  out.Add(report.reload->failed, {{"outcome", "failed"}});
  out.One("okms_kms_files_in_use", kGauge,
          "1 while what the files hold is in use; 0: they changed, and cannot be used.",
          report.reload->trouble.empty());
}

}  // namespace

std::string MetricsText(const Report& report) {
  Families families;
  AddProcess(report, families);
  AddKey(report, families);
  AddService(report, families);
  AddHosts(report, families);
  AddFiles(report, families);
  return std::move(families).Text();
}

}  // namespace okms
