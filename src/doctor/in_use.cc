// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/in_use.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "doctor/examination.h"

namespace okms::doctor {
namespace {

std::string Period(double from, double until) {
  const auto date = [](double unix_time) {
    return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::UnixEpoch() + absl::Seconds(unix_time),
                            absl::UTCTimeZone());
  };
  return absl::StrCat("valid from ", date(from), " until ", date(until));
}

// What systemd has passed to the service it has under another name.
bool IsOf(const Examination& all, const InUse::Certificate& used, const std::string& path) {
  return used.path == path ||
         absl::StartsWith(used.path, absl::StrCat("/run/credentials/", all.found.unit, "/"));
}

}  // namespace

Verdicts CheckInUse(Examination& all) {
  const absl::StatusOr<InUse> in_use = all.request.ask_in_use(all);
  if (!in_use.ok()) {
    const std::string why = absl::StrReplaceAll(in_use.status().message(), {{"\n", "; "}});
    const bool hidden = absl::IsPermissionDenied(in_use.status());
    return Unknown(absl::StrCat("the plugin does not say what it uses: ", why),
                   hidden ? all.AsRoot() : all.StatusCommand());
  }
  Verdicts verdicts;
  bool any = false;
  for (const Validity::FileEnd& file : all.files.validity.Ends()) {
    for (const InUse::Certificate& used : in_use->certificates) {
      if (used.option != file.option || !IsOf(all, used, file.path)) continue;
      any = true;
      const auto from = static_cast<double>(file.from);
      const auto until = static_cast<double>(file.until);
      if (used.not_before == from && used.not_after == until) continue;
      verdicts.push_back(
          {Outcome::kWarning,
           absl::StrCat(file.option, " ", file.path, ": is ", Period(from, until),
                        ", and the plugin still uses what is ",
                        Period(used.not_before, used.not_after),
                        in_use->trouble.empty() ? "" : absl::StrCat(": ", in_use->trouble)),
           all.ReloadCommand(file.path)});
    }
  }
  if (!any) return Unknown("who answers uses other files; is it this plugin?", all.StatusCommand());
  return verdicts.empty() ? Passed("the plugin uses the certificates on disk") : verdicts;
}

}  // namespace okms::doctor
