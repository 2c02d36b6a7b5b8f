// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/validity.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"

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

bool Includes(const Validity::Period& period, std::time_t now) {
  return period.from <= now && now <= period.until;
}

}  // namespace

void Validity::Add(const std::string& option, const std::string& path,
                   std::vector<Period> certificates) {
  if (certificates.empty()) return;
  files_.push_back({option, path, std::move(certificates)});
}

std::optional<Validity::Trouble> Validity::At(std::time_t now) const {
  for (const File& file : files_) {
    if (std::any_of(file.certificates.begin(), file.certificates.end(),
                    [now](const Period& period) { return Includes(period, now); })) {
      continue;
    }
    // The day is enough: the line is to stay the same for a while.
    const std::string clock = absl::StrCat("this machine's clock, which says ", Date(now));
    const std::string name = absl::StrCat(file.option, " ", file.path);
    std::optional<std::time_t> next;
    for (const Period& period : file.certificates) {
      if (period.from > now) next = std::min(next.value_or(period.from), period.from);
    }
    if (next) {
      return Trouble{absl::StrCat(name, ": not valid before ", DateAndTime(*next)),
                     absl::StrCat("correct ", clock, ", or wait")};
    }
    return Trouble{absl::StrCat(name, ": expired on ", DateAndTime(file.Until())),
                   absl::StrCat("renew it and restart, or correct ", clock)};
  }
  return std::nullopt;
}

std::string Validity::Summary(std::time_t now) const {
  const File* file = First();
  if (file == nullptr) return "";
  return absl::StrCat(file->option, now <= file->Until() ? " until " : " expired on ",
                      Date(file->Until()));
}

std::vector<Validity::FileEnd> Validity::Ends() const {
  std::vector<FileEnd> ends;
  for (const File& file : files_) {
    const auto last =
        std::max_element(file.certificates.begin(), file.certificates.end(),
                         [](const Period& a, const Period& b) { return a.until < b.until; });
    ends.push_back({file.option, file.path, last->until});
  }
  return ends;
}

std::optional<std::time_t> Validity::End() const {
  const File* file = First();
  return file == nullptr ? std::nullopt : std::optional(file->Until());
}

std::time_t Validity::File::Until() const {
  return std::max_element(certificates.begin(), certificates.end(),
                          [](const Period& a, const Period& b) { return a.until < b.until; })
      ->until;
}

const Validity::File* Validity::First() const {
  const auto first =
      std::min_element(files_.begin(), files_.end(),
                       [](const File& a, const File& b) { return a.Until() < b.Until(); });
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
