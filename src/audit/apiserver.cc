// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "audit/plan.h"
#include "base/status.h"

namespace okms::audit {
namespace {

constexpr absl::string_view kLastStatus =
    "apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds{";

// Of `name="value",other="..."`. The two that are asked for have no quote within.
std::string Label(absl::string_view labels, absl::string_view name) {
  for (absl::string_view label : absl::StrSplit(labels, ',')) {
    if (absl::ConsumePrefix(&label, name) && absl::ConsumePrefix(&label, "=\"") &&
        absl::ConsumeSuffix(&label, "\"")) {
      return std::string(label);
    }
  }
  return "";
}

}  // namespace

absl::StatusOr<Apiserver> ReadApiserver(absl::string_view name, absl::string_view metrics) {
  Apiserver apiserver{std::string(name), {}};
  for (absl::string_view line : absl::StrSplit(metrics, '\n')) {
    if (!absl::ConsumePrefix(&line, kLastStatus)) continue;
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits('}', 1));
    const std::string hash = Label(parts.first, "key_id_hash");
    const std::vector<absl::string_view> numbers =
        absl::StrSplit(parts.second, ' ', absl::SkipWhitespace());
    double time = 0;
    if (hash.empty() || numbers.empty() || !absl::SimpleAtod(numbers[0], &time)) continue;
    auto& last = apiserver.keys[Label(parts.first, "provider_name")];
    if (time > last.second) last = {hash, time};
  }
  if (!apiserver.keys.empty()) return apiserver;
  return absl::InvalidArgumentError(
      absl::StrCat(Printable(name), ": no ", absl::StripSuffix(kLastStatus, "{"),
                   " is in it; save the metrics of a kube-apiserver that has a KMS v2 provider"));
}

absl::StatusOr<Version> ParseVersion(absl::string_view text) {
  absl::string_view rest = text;
  absl::ConsumePrefix(&rest, "v");
  const std::vector<absl::string_view> parts = absl::StrSplit(rest, absl::MaxSplits('.', 2));
  Version version;
  const auto number = [](absl::string_view part, int& to) {
    return !part.empty() && std::all_of(part.begin(), part.end(), absl::ascii_isdigit) &&
           absl::SimpleAtoi(part, &to);
  };
  if (parts.size() >= 2 && number(parts[0], version.major) && number(parts[1], version.minor)) {
    return version;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(Printable(text), ": no version; give for example 1.37"));
}

}  // namespace okms::audit
