// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "audit/report.h"
#include "base/status.h"
#include "core/key_id_hash.h"

namespace okms::audit {
namespace {

constexpr std::size_t kColumns = 6;
constexpr std::size_t kShownKeyId = 40;
constexpr std::size_t kShownHash = 7 + 8;  // "sha256:" and eight digits

using Row = std::array<std::string, kColumns>;

// Numbers are the last columns, and stand at their right ends.
std::string Table(const std::vector<Row>& rows) {
  std::array<std::size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < kColumns; ++i) {
      const std::string space(widths[i] - row[i].size(), ' ');
      const bool number = i >= 3;
      absl::StrAppend(&line, i == 0 ? "" : "  ", number ? space : "", row[i], number ? "" : space);
    }
    absl::StrAppend(&text, absl::StripTrailingAsciiWhitespace(line), "\n");
  }
  return text;
}

std::string Resource(const Group& group) {
  switch (group.standing) {
    case Standing::kLive: break;
    case Standing::kOldRevision: return absl::StrCat(group.resource, " (old)");
    case Standing::kFreedPage: return absl::StrCat(group.resource, " (freed)");
  }
  return group.resource;
}

std::string Key(const Group& group) {
  if (!group.wrong.empty()) return group.wrong;
  if (group.key_id.empty()) return "-";
  return absl::StrCat(Printable(group.key_id, kShownKeyId), " ",
                      KeyIdHash(group.key_id).substr(0, kShownHash));
}

Row RowOf(const Group& group, const Count& count) {
  return {Resource(group),
          absl::StrCat(ToString(group.kind), group.name.empty() ? "" : " ", group.name),
          Key(group),
          absl::StrCat(count.objects),
          count.seeds == 0 ? "-" : absl::StrCat(count.seeds),
          absl::StrCat(count.oldest)};
}

std::string Head(const Survey& survey) {
  std::string text = absl::StrCat(survey.extent.line, ": revision ", survey.extent.revision, ", ",
                                  survey.tally.values(), " values below ", survey.scope.prefix);
  if (!survey.scope.history) return absl::StrCat(text, "\n\n");
  const std::int64_t compacted = survey.extent.compacted;
  return absl::StrCat(text, ", with old revisions",
                      compacted == 0 ? "" : absl::StrCat(" from ", compacted + 1, " on"), "\n\n");
}

}  // namespace

std::string AsText(const Survey& survey, const std::vector<Finding>& findings, bool verbose) {
  const std::set<std::string> concerned = MustBeEncrypted(survey.tally);
  std::vector<Row> rows{{"RESOURCE", "PROVIDER", "KEY", "OBJECTS", "SEEDS", "OLDEST"}};
  std::set<std::string> others;
  std::uint64_t plain = 0;
  for (const auto& [group, count] : survey.tally.groups()) {
    if (verbose || concerned.count(group.resource) > 0 || !IsPlain(group.kind)) {
      rows.push_back(RowOf(group, count));
    } else {
      others.insert(group.resource);
      plain += count.objects;
    }
  }
  std::string text = Head(survey);
  if (rows.size() > 1) absl::StrAppend(&text, Table(rows));
  if (!others.empty()) {
    absl::StrAppend(&text, "and ", plain, " in plain text, of ", others.size(),
                    others.size() == 1 ? " resource" : " resources",
                    " that nothing is encrypted of (--verbose)\n");
  }
  if (!findings.empty()) absl::StrAppend(&text, "\n");
  for (const Finding& finding : findings) {
    absl::StrAppend(&text, finding.wrong ? "wrong   " : "note    ", finding.line, "\n");
    if (!verbose) continue;
    for (const std::string& object : finding.objects) {
      absl::StrAppend(&text, "        ", object, "\n");
    }
  }
  return text;
}

}  // namespace okms::audit
