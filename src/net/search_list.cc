// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/search_list.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace okms {
namespace {

constexpr std::size_t kMostCharacters = 254;  // of a name, with the dot at its end (RFC 1035)
constexpr int kMostDots = 15;                 // resolv.conf(5): what is above counts as this

struct Rules {
  std::vector<absl::string_view> domains;
  int dots = 1;  // with as many in it, a name is asked for as it is first
};

Rules ReadRules(absl::string_view resolv_conf, absl::string_view host_name) {
  Rules rules;
  const std::size_t dot = host_name.find('.');
  if (dot != absl::string_view::npos) rules.domains = {host_name.substr(dot + 1)};
  for (const absl::string_view line : absl::StrSplit(resolv_conf, '\n')) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.size() < 2) continue;
    // The last line of either kind counts.
    if (words[0] == "domain") rules.domains = {words[1]};
    if (words[0] == "search") rules.domains.assign(words.begin() + 1, words.end());
    if (words[0] != "options") continue;
    for (absl::string_view option : words) {
      int dots = 0;
      if (absl::ConsumePrefix(&option, "ndots:") && absl::SimpleAtoi(option, &dots)) {
        rules.dots = std::clamp(dots, 0, kMostDots);
      }
    }
  }
  return rules;
}

}  // namespace

std::vector<std::string> SearchList(absl::string_view name, absl::string_view resolv_conf,
                                    absl::string_view host_name) {
  if (absl::EndsWith(name, ".")) return {std::string(name)};
  const std::string itself = absl::StrCat(name, ".");
  const Rules rules = ReadRules(resolv_conf, host_name);
  std::vector<std::string> names;
  for (absl::string_view domain : rules.domains) {
    absl::ConsumeSuffix(&domain, ".");
    std::string candidate = absl::StrCat(itself, domain, ".");
    if (!domain.empty() && candidate.size() <= kMostCharacters) {
      names.push_back(std::move(candidate));
    }
  }
  const bool first = std::count(name.begin(), name.end(), '.') >= rules.dots;
  names.insert(first ? names.begin() : names.end(), itself);
  return names;
}

}  // namespace okms
