// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/validity.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace okms {
namespace {

// In UTC, as certificates are: what the local time is would be in a file.
std::string Format(const char* format, std::time_t time) {
  std::tm fields{};
  std::array<char, 64> text{};
  if (::gmtime_r(&time, &fields) == nullptr) return "an unknown date";
  return {text.data(), std::strftime(text.data(), text.size(), format, &fields)};
}

std::string Date(std::time_t time) { return Format("%Y-%m-%d", time); }
std::string DateAndTime(std::time_t time) { return Format("%Y-%m-%d %H:%M:%S UTC", time); }

std::time_t ToTime(const ASN1_TIME* time) {
  std::tm fields{};
  return ASN1_TIME_to_tm(time, &fields) == 1 ? ::timegm(&fields) : 0;
}

constexpr std::time_t kMinute = 60;
constexpr std::time_t kHour = 60 * kMinute;
constexpr std::time_t kDay = 24 * kHour;

constexpr char kRenew[] = "renew it";

// What is left of a life when its end is spoken of, the longest first. Of less than 90 days, 30
// would be more than a third, and of 30 all: what is said all the time is not heard. So it is a
// third for these, and the two ways begin alike where they meet.
std::vector<std::time_t> Marks(std::time_t life) {
  if (life < 90 * kDay) return {life / 3, life / 10};
  return {30 * kDay, 14 * kDay, 7 * kDay, 3 * kDay, kDay};
}

// The last of them that has come.
std::optional<std::time_t> MarkAt(const Validity::Period& period, std::time_t now) {
  std::optional<std::time_t> mark;
  for (const std::time_t each : Marks(period.until - period.from)) {
    if (period.until - now <= each) mark = each;
  }
  return mark;
}

// "3 days left": rounded, since who looks for the time comes some seconds late.
std::string Left(std::time_t time) {
  const auto in = [time](std::time_t unit) { return (time + unit / 2) / unit; };
  if (in(kDay) > 2) return absl::StrCat(in(kDay), " days left");
  if (in(kHour) > 2) return absl::StrCat(in(kHour), " hours left");
  return absl::StrCat(in(kMinute), in(kMinute) == 1 ? " minute left" : " minutes left");
}

bool Includes(const Validity::Period& period, std::time_t now) {
  return period.from <= now && now <= period.until;
}

}  // namespace

void Validity::Add(const std::string& option, const std::string& path,
                   std::vector<Period> certificates) {
  if (certificates.empty()) return;
  files_.push_back({option, path, std::move(certificates)});
}

std::vector<Validity::Remark> Validity::Remarks(std::time_t now) const {
  std::vector<Remark> remarks;
  for (const File& file : files_) {
    if (std::optional<Remark> remark = file.At(now)) remarks.push_back(*std::move(remark));
  }
  return remarks;
}

std::optional<Validity::Remark> Validity::At(std::time_t now) const {
  for (Remark& remark : Remarks(now)) {
    if (remark.wrong) return std::move(remark);
  }
  return std::nullopt;
}

std::string Validity::Summary(std::time_t now) const {
  std::vector<std::string> lines;
  for (const File& file : files_) {
    const Period& last = file.Last();
    const bool soon = MarkAt(last, now).has_value();
    if (!soon && &file != First()) continue;
    const bool over = now > last.until;
    lines.push_back(absl::StrCat(file.option, over ? " expired on " : " until ", Date(last.until),
                                 soon && !over ? ", " : "",
                                 soon && !over ? Left(last.until - now) : ""));
  }
  return absl::StrJoin(lines, "; ");
}

std::vector<Validity::FileEnd> Validity::Ends() const {
  std::vector<FileEnd> ends;
  for (const File& file : files_) {
    const Period& last = file.Last();
    ends.push_back({file.option, file.path, last.from, last.until});
  }
  return ends;
}

std::optional<std::time_t> Validity::End() const {
  const File* file = First();
  return file == nullptr ? std::nullopt : std::optional(file->Last().until);
}

const Validity::Period& Validity::File::Last() const {
  return *std::max_element(certificates.begin(), certificates.end(),
                           [](const Period& a, const Period& b) { return a.until < b.until; });
}

std::optional<Validity::Remark> Validity::File::At(std::time_t now) const {
  const std::string name = absl::StrCat(option, " ", path);
  const std::time_t until = Last().until;
  if (std::any_of(certificates.begin(), certificates.end(),
                  [now](const Period& period) { return Includes(period, now); })) {
    const std::optional<std::time_t> mark = MarkAt(Last(), now);
    if (!mark) return std::nullopt;
    return Remark{option,
                  false,
                  false,
                  absl::StrCat(name, ": expires on ", DateAndTime(until)),
                  absl::StrCat(Left(until - now), ": ", kRenew),
                  until - *mark};
  }
  // The day is enough: the line is to stay the same for a while.
  const std::string clock = absl::StrCat("this machine's clock, which says ", Date(now));
  std::optional<std::time_t> next;
  for (const Period& period : certificates) {
    if (period.from > now) next = std::min(next.value_or(period.from), period.from);
  }
  if (next) {
    return Remark{option,
                  true,
                  true,
                  absl::StrCat(name, ": not valid before ", DateAndTime(*next)),
                  absl::StrCat("correct ", clock, ", or wait"),
                  *next};
  }
  return Remark{option,
                true,
                false,
                absl::StrCat(name, ": expired on ", DateAndTime(until)),
                absl::StrCat(kRenew, ", or correct ", clock),
                now - (now - until) % kDay};
}

const Validity::File* Validity::First() const {
  const auto first = std::min_element(
      files_.begin(), files_.end(),
      [](const File& a, const File& b) { return a.Last().until < b.Last().until; });
  return first == files_.end() ? nullptr : &*first;
}

Validity::Period PeriodOf(const X509* certificate) {
  return {ToTime(X509_get0_notBefore(certificate)), ToTime(X509_get0_notAfter(certificate))};
}

std::vector<Validity::Period> PeriodsOf(const std::vector<X509Ptr>& certificates) {
  std::vector<Validity::Period> periods;
  for (const X509Ptr& certificate : certificates) periods.push_back(PeriodOf(certificate.get()));
  return periods;
}

}  // namespace okms
