// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/report_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace okms::ctl {
namespace {

// Facts under names: a name comes once, before the first of its lines.
class Rows {
 public:
  void Add(absl::string_view name, absl::string_view line) {
    absl::StrAppendFormat(&text_, "%-14s%s\n", name == last_ ? "" : name, line);
    last_ = std::string(name);
  }
  void AddIfAny(absl::string_view name, absl::string_view line) {
    if (!line.empty()) Add(name, line);
  }
  std::string text() && { return std::move(text_); }

 private:
  std::string text_;
  std::string last_;
};

// " for 3 min"
std::string For(const Json& object, const char* age) {
  const std::optional<double> seconds = NumberOf(object, age);
  return seconds ? absl::StrCat(" for ", SpanText(*seconds)) : "";
}

std::string After(absl::string_view separator, const std::string& text) {
  return text.empty() ? "" : absl::StrCat(separator, text);
}

std::string LeftText(double seconds) {
  return seconds < 0 ? absl::StrCat("EXPIRED ", SpanText(-seconds), " ago")
                     : absl::StrCat(SpanText(seconds), " left");
}

void AddKey(const Json& key, Rows& rows) {
  if (key.empty()) return;  // whoever was asked did not say
  const std::string id = TextOf(key, "id");
  rows.Add("key", id.empty() ? "none yet" : id);
  if (!id.empty()) rows.Add("key", TextOf(key, "id_hash"));
  if (!TruthOf(key, "label_proven").value_or(true)) {
    rows.Add("key", "that it is the one of the label is the KMS's word alone");
  }
}

void AddCandidate(const Json& candidate, Rows& rows) {
  if (candidate.empty()) return;
  const std::string hash = TextOf(candidate, "id_hash");
  rows.Add("candidate",
           absl::StrCat(
               hash.empty() ? "no key" : hash, For(candidate, "age_seconds"),
               TruthOf(candidate, "works").value_or(false) ? ", works and is to be adopted" : "",
               After(": ", TextOf(candidate, "text"))));
}

void AddHosts(const Json& report, Rows& rows) {
  for (const Json& host : MemberOf(report, "hosts")) {
    const bool up = TruthOf(host, "up").value_or(false);
    rows.Add("hosts", absl::StrCat(TextOf(host, "name"), up ? "  up" : "  DOWN",
                                   For(host, "age_seconds"), After(": ", TextOf(host, "trouble"))));
  }
}

std::string DateText(double unix_time) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::UnixEpoch() + absl::Seconds(unix_time),
                          absl::UTCTimeZone());
}

// How long it takes until it is valid; none: it has been already.
std::optional<double> EarlyBy(const Json& report, const Json& certificate) {
  const std::optional<double> now = NumberOf(report, "now");
  const std::optional<double> begin = NumberOf(certificate, "not_before");
  return now && begin && *begin > *now ? std::optional(*begin - *now) : std::nullopt;
}

void AddCertificates(const Json& report, Rows& rows) {
  for (const Json& certificate : MemberOf(report, "certificates")) {
    const std::optional<double> early = EarlyBy(report, certificate);
    const std::string validity =
        early ? absl::StrCat("NOT VALID YET, in ", SpanText(*early), ", from ",
                             DateText(NumberOf(certificate, "not_before").value_or(0)))
              : LeftText(NumberOf(certificate, "left_seconds").value_or(0));
    rows.Add(
        "certificates",
        absl::StrCat(validity, ", until ", DateText(NumberOf(certificate, "not_after").value_or(0)),
                     "  ", TextOf(certificate, "file"), " ", TextOf(certificate, "path")));
  }
  rows.AddIfAny("reload", TextOf(MemberOf(report, "reload"), "trouble"));
}

void AddChecks(const Json& report, Rows& rows) {
  const auto add = [&](const char* name, const char* member) {
    if (const std::optional<double> age = NumberOf(report, member)) {
      rows.Add(name, absl::StrCat(SpanText(*age), " ago"));
    }
  };
  add("good check", "last_good_check_age_seconds");
  add("last answer", "last_answer_age_seconds");
}

void AddChanges(const Json& report, Rows& rows) {
  for (const Json& change : MemberOf(report, "changes")) {
    rows.Add("changes", absl::StrCat(SpanText(NumberOf(change, "age_seconds").value_or(0)),
                                     " ago  ", TextOf(change, "text")));
  }
}

}  // namespace

std::string SpanText(double seconds) {
  struct Unit {
    int64_t seconds;
    const char* name;
  };
  constexpr std::array<Unit, 4> kUnits{{{86400, " d"}, {3600, " h"}, {60, " min"}, {1, " s"}}};
  auto left = static_cast<int64_t>(std::clamp(seconds, 0.0, 1e12));
  std::string text;
  for (const auto& [size, name] : kUnits) {
    const bool second = !text.empty();
    if (left >= size) absl::StrAppend(&text, second ? " " : "", left / size, name);
    left %= size;
    if (second) break;
  }
  return text.empty() ? "0 s" : text;
}

std::string VerdictText(const Json& report) {
  if (IsReady(report)) return "ready";
  return absl::StrCat("NOT READY", After(": ", TextOf(report, "code")),
                      After(": ", TextOf(report, "reason")));
}

std::string BriefText(const Json& report) {
  std::string text = absl::StrCat(VerdictText(report),
                                  After(", key ", TextOf(MemberOf(report, "key"), "id_hash")));
  const Json& hosts = MemberOf(report, "hosts");
  if (!hosts.empty()) {
    const auto up = std::count_if(hosts.begin(), hosts.end(), [](const Json& host) {
      return TruthOf(host, "up").value_or(false);
    });
    absl::StrAppend(&text, ", ", up, " of ", hosts.size(), " hosts up");
  }
  std::optional<double> least;
  for (const Json& certificate : MemberOf(report, "certificates")) {
    if (const auto early = EarlyBy(report, certificate)) {
      return absl::StrCat(text, ", certificate NOT VALID YET, in ", SpanText(*early));
    }
    const std::optional<double> left = NumberOf(certificate, "left_seconds");
    if (left && (!least || *left < *least)) least = left;
  }
  return text + (least ? absl::StrCat(", certificate ", LeftText(*least)) : "");
}

std::string ReportText(const Json& report, absl::string_view source) {
  Rows rows;
  rows.AddIfAny("state", TextOf(report, "state"));
  AddKey(MemberOf(report, "key"), rows);
  AddCandidate(MemberOf(report, "candidate"), rows);
  AddHosts(report, rows);
  AddChecks(report, rows);
  AddCertificates(report, rows);
  rows.AddIfAny("sandbox", TextOf(report, "sandbox"));
  if (const std::string version = TextOf(report, "version"); !version.empty()) {
    const double age =
        NumberOf(report, "now").value_or(0) - NumberOf(report, "started").value_or(0);
    rows.Add("plugin", absl::StrCat(version, ", ", TextOf(report, "protocol"), ", started ",
                                    SpanText(age), " ago"));
  }
  rows.Add("asked at", source);
  AddChanges(report, rows);
  return absl::StrCat(VerdictText(report), "\n", std::move(rows).text());
}

}  // namespace okms::ctl
