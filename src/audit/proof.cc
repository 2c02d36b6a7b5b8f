// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/proof.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "core/key_id_hash.h"

namespace okms::audit {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kShownKeyId = 100;
constexpr std::size_t kNamedInLine = 3;

std::string Seeds(std::uint64_t count) {
  return absl::StrCat(count, count == 1 ? " seed" : " seeds");
}

std::string Shown(absl::Duration time) {
  return absl::FormatDuration(absl::Ceil(time, absl::Milliseconds(1)));
}

Finding Of(const Refusal& refusal) {
  const auto end = refusal.first.begin() +
                   static_cast<std::ptrdiff_t>(std::min(kNamedInLine, refusal.first.size()));
  return {"unreadable", true,
          absl::StrCat(Seeds(refusal.seeds), " under key ", Printable(refusal.key_id, kShownKeyId),
                       " cannot be unwrapped, and ", refusal.objects,
                       refusal.objects == 1 ? " object needs " : " objects need ",
                       refusal.seeds == 1 ? "it" : "one of them", " (",
                       absl::StrJoin(refusal.first.begin(), end, ", "),
                       refusal.objects > kNamedInLine ? ", ..." : "", "): ", refusal.code, ": ",
                       refusal.line),
          refusal.first};
}

}  // namespace

std::uint64_t Proof::Good() const {
  std::uint64_t sum = 0;
  for (const auto& [key_id, seeds] : good) sum += seeds;
  return sum;
}

std::uint64_t Proof::Seeds() const {
  std::uint64_t sum = Good();
  for (const Refusal& refusal : refused) sum += refusal.seeds;
  return sum;
}

std::vector<Finding> FindingsOf(const Proof& proof) {
  if (proof.Seeds() == 0) {
    return {{"nothing-to-prove",
             true,
             absl::StrCat("there is nothing to unwrap: no live value is of KMS v2",
                          proof.provider.empty() ? "" : " by provider ", Printable(proof.provider)),
             {}}};
  }
  std::vector<Finding> findings;
  for (const Refusal& refusal : proof.refused) findings.push_back(Of(refusal));
  std::string line = absl::StrCat(proof.Good(), " of ", Seeds(proof.Seeds()), " can be unwrapped");
  const char* between = ": ";
  for (const auto& [key_id, seeds] : proof.good) {
    absl::StrAppend(&line, between, "under key ", Printable(key_id, kShownKeyId), " ", seeds);
    between = ", ";
  }
  if (!proof.good.empty()) {
    absl::StrAppend(&line, "; slowest ", Shown(proof.slowest), ", median ", Shown(proof.median));
  }
  findings.push_back({"readable", false, std::move(line), {}});
  return findings;
}

Json AsJson(const Proof& proof) {
  Json report{{"seeds", proof.Seeds()}, {"readable", proof.Good()}};
  if (!proof.provider.empty()) report["provider"] = proof.provider;
  report["keys"] = Json::array();
  for (const auto& [key_id, seeds] : proof.good) {
    report["keys"].push_back(
        {{"key_id", key_id}, {"key_id_hash", KeyIdHash(key_id)}, {"readable", seeds}});
  }
  report["refused"] = Json::array();
  for (const Refusal& refusal : proof.refused) {
    report["refused"].push_back({{"key_id", refusal.key_id},
                                 {"key_id_hash", KeyIdHash(refusal.key_id)},
                                 {"code", refusal.code},
                                 {"line", refusal.line},
                                 {"seeds", refusal.seeds},
                                 {"objects", refusal.objects},
                                 {"first", refusal.first}});
  }
  if (!proof.good.empty()) {
    report["slowest_ms"] = absl::ToDoubleMilliseconds(proof.slowest);
    report["median_ms"] = absl::ToDoubleMilliseconds(proof.median);
  }
  return report;
}

}  // namespace okms::audit
