// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "audit/findings.h"
#include "audit/plan.h"
#include "base/status.h"

namespace okms::audit {
namespace {

constexpr std::size_t kShownKeyId = 100;
constexpr char kBelow[] = "        ";  // as wide as what a line begins with

std::string AsText(const Rewrite& rewrite) {
  std::string text =
      absl::StrCat("rewrite ", Values(Standing::kLive, rewrite.objects, rewrite.resource), "\n");
  if (!rewrite.manifest.empty()) {
    const std::string manifest = absl::StrCat("---\n", rewrite.manifest);
    return absl::StrCat(text, kBelow,
                        absl::StrReplaceAll(manifest.substr(0, manifest.size() - 1),
                                            {{"\n", absl::StrCat("\n", kBelow)}}),
                        "\n");
  }
  return absl::StrCat(text, kBelow,
                      rewrite.command.empty() ? "by whoever wrote it: it is no resource that "
                                                "kubectl could name"
                                              : rewrite.command,
                      "\n");
}

}  // namespace

absl::string_view ToString(Step step) {
  switch (step) {
    case Step::kNoTarget: return "no target";
    case Step::kCannotTell: return "cannot tell";
    case Step::kWait: return "wait";
    case Step::kRewrite: return "rewrite";
    case Step::kReadHistory: return "read history";
    case Step::kCompact: return "compact";
    case Step::kLookAtFreed: return "look at freed pages";
    case Step::kReadTheRest: return "read the rest";
    case Step::kOthersUnneeded: return "others unneeded";
  }
  return "";
}

std::string AsText(const Plan& plan) {
  std::string text = absl::StrCat(plan.verdict, "\n");
  if (!plan.target.empty()) {
    absl::StrAppend(&text, "target  key ", Printable(plan.target, kShownKeyId), ": ", plan.origin,
                    "\n");
  }
  if (!plan.when.empty()) absl::StrAppend(&text, "when    ", plan.when, "\n");
  for (const Rewrite& rewrite : plan.rewrites) absl::StrAppend(&text, AsText(rewrite));
  for (const std::string& note : plan.notes) absl::StrAppend(&text, "note    ", note, "\n");
  return text;
}

}  // namespace okms::audit
