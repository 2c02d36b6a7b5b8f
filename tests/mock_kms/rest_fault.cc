// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "mock_kms/rest_fault.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace okms::test {
namespace {

constexpr std::array<std::pair<absl::string_view, RestFaultKind>, 24> kKinds{{
    {"hang", RestFaultKind::kHang},
    {"close", RestFaultKind::kClose},
    {"truncate", RestFaultKind::kTruncate},
    {"status", RestFaultKind::kStatus},
    {"retry-after", RestFaultKind::kRetryAfter},
    {"plain-error", RestFaultKind::kPlainError},
    {"echo", RestFaultKind::kEcho},
    {"redirect", RestFaultKind::kRedirect},
    {"no-content", RestFaultKind::kNoContent},
    {"empty", RestFaultKind::kEmpty},
    {"not-json", RestFaultKind::kNotJson},
    {"bad-json", RestFaultKind::kBadJson},
    {"wrong-type", RestFaultKind::kWrongType},
    {"no-field", RestFaultKind::kNoField},
    {"big-ciphertext", RestFaultKind::kBigCiphertext},
    {"oversize", RestFaultKind::kOversize},
    {"gzip", RestFaultKind::kGzip},
    {"other-key", RestFaultKind::kOtherKey},
    {"wrong-data", RestFaultKind::kWrongData},
    {"endless", RestFaultKind::kEndless},
    {"same-token", RestFaultKind::kSameToken},
    {"empty-token", RestFaultKind::kEmptyToken},
    {"null-token", RestFaultKind::kNullToken},
    {"no-token", RestFaultKind::kNoToken},
}};

std::optional<RestCall> ParseCall(absl::string_view text) {
  for (const RestCall call :
       {RestCall::kList, RestCall::kGet, RestCall::kEncrypt, RestCall::kDecrypt}) {
    if (ToString(call) == text) return call;
  }
  return std::nullopt;
}

bool ParseStatus(absl::string_view text, int& status) {
  return absl::SimpleAtoi(text, &status) && status >= 100 && status <= 599;
}

// Empty when the value is what the kind takes, else why not.
absl::string_view TakeValue(const std::optional<std::string>& value, RestFault& fault) {
  switch (fault.kind) {
    case RestFaultKind::kStatus:
    case RestFaultKind::kPlainError:
      return value && ParseStatus(*value, fault.status) ? "" : "needs an HTTP status";
    case RestFaultKind::kRetryAfter: {
      if (!value) return "needs seconds";
      std::vector<std::string> parts = absl::StrSplit(*value, '/');
      fault.status = 429;
      if (parts.size() > 2 || (parts.size() == 2 && !ParseStatus(parts[0], fault.status))) {
        return "needs seconds, or an HTTP status, a slash and seconds";
      }
      fault.value = std::move(parts.back());
      return "";
    }
    case RestFaultKind::kRedirect:
      if (!value) return "needs an address";
      fault.value = *value;
      return "";
    default: return value ? "takes no value" : "";
  }
}

}  // namespace

absl::StatusOr<RestFault> ParseRestFault(absl::string_view text) {
  const auto bad = [&](absl::string_view why) {
    std::string kinds;
    for (const auto& [name, kind] : kKinds)
      absl::StrAppend(&kinds, kinds.empty() ? "" : ", ", name);
    return absl::InvalidArgumentError(
        absl::StrCat("fault \"", text, "\": ", why,
                     "; KIND[=VALUE][:CALL][:TIMES], where CALL is list, get, encrypt or decrypt, "
                     "and KIND is one of ",
                     kinds));
  };
  const std::size_t end = std::min(text.find_first_of("=:"), text.size());
  const auto* named = std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& entry) {
    return entry.first == text.substr(0, end);
  });
  if (named == kKinds.end()) return bad("no such kind");
  RestFault fault{.kind = named->second};

  // From the right: TIMES, CALL, and what is left is the value.
  std::vector<std::string> parts = absl::StrSplit(text.substr(end), ':');
  const bool only_after_call = fault.kind == RestFaultKind::kRedirect;
  int times = 0;
  const auto has_call = [&](std::size_t from_end) {
    return parts.size() > from_end && ParseCall(parts[parts.size() - from_end]).has_value();
  };
  if (parts.size() > 1 && absl::SimpleAtoi(parts.back(), &times) &&
      (!only_after_call || has_call(2))) {
    fault.times = times;
    parts.pop_back();
  }
  if (has_call(1)) {
    fault.call = ParseCall(parts.back());
    parts.pop_back();
  }
  std::string rest = parts[0];
  for (std::size_t i = 1; i < parts.size(); ++i) absl::StrAppend(&rest, ":", parts[i]);
  std::optional<std::string> value;
  if (rest.substr(0, 1) == "=") {
    value = rest.substr(1);
  } else if (!rest.empty()) {
    return bad("neither a call nor a number");
  }
  if (value && !only_after_call && value->find(':') != std::string::npos) {
    return bad("neither a call nor a number");
  }
  if (const absl::string_view why = TakeValue(value, fault); !why.empty()) return bad(why);
  return fault;
}

}  // namespace okms::test
