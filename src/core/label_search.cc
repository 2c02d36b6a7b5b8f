// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A search is a chain: Locate, then Inspect of one hit after the other.

#include "core/label_search.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"

namespace okms {
namespace {

// More than that are not told apart by asking for each.
constexpr std::size_t kMaxHits = 8;

struct Search {
  Backend& backend;
  std::string label;
  KnownKeys known;
  NextDeadline deadline;
  absl::AnyInvocable<void(LabelAnswer)> done;
  std::vector<std::string> hits;
  bool remembered = false;
  std::vector<LabelledKey> seen;
};
using SearchPtr = std::unique_ptr<Search>;

std::string Quoted(const std::string& label) { return absl::StrCat("\"", Printable(label), "\""); }

// As far as one can see.
bool HasLabel(const KeyInfo& info, const std::string& label) {
  return !info.labels || ShowsLabel(info, label);
}

std::string Found(const LabelledKey& key, const std::string& label) {
  const std::string name = absl::StrCat("key ", Printable(key.id));
  const std::string unfit = WhyUnfit(key.info);
  if (unfit.empty() && !key.info.labels) return absl::StrCat(name, " hides its label");
  if (HasLabel(key.info, label)) return absl::StrCat(name, " ", unfit);
  return absl::StrCat(name, " has the label ", Quoted(absl::StrJoin(*key.info.labels, "\", \"")),
                      ", not ", Quoted(label));
}

absl::Status Ambiguous(const std::string& label, const std::vector<std::string>& ids,
                       absl::string_view kind) {
  const auto shown = static_cast<std::ptrdiff_t>(std::min(ids.size(), kMaxHits));
  return absl::FailedPreconditionError(absl::StrCat(
      "the label ", Quoted(label), " fits ", ids.size(), " ", kind, " (",
      Printable(absl::StrJoin(ids.begin(), ids.begin() + shown, ", "), 400),
      ids.size() > kMaxHits ? ", ..." : "", "); rename all but one, or name the key by its id"));
}

absl::StatusOr<LabelledKey> Verdict(const std::string& label, std::vector<LabelledKey>& seen) {
  if (seen.empty()) {
    return absl::NotFoundError(absl::StrCat("no active symmetric key has the label ", Quoted(label),
                                            ", or this client may not see it"));
  }
  std::vector<std::string> ids;
  const LabelledKey* fit = nullptr;
  for (const LabelledKey& key : seen) {
    if (!HasLabel(key.info, label) || !WhyUnfit(key.info).empty()) continue;
    ids.push_back(key.id);
    fit = &key;
  }
  // A server that ignores the name in a search may add keys that hide theirs: none of them is taken
  // in place of one that shows the label.
  const bool shown = std::any_of(seen.begin(), seen.end(), [&](const LabelledKey& key) {
    return ShowsLabel(key.info, label);
  });
  if (ids.size() == 1 && (!shown || ShowsLabel(fit->info, label))) return *fit;
  if (ids.size() > 1) return Ambiguous(label, ids, "active keys");
  if (seen.size() == 1 && HasLabel(seen.front().info, label)) return std::move(seen.front());
  std::vector<std::string> words;
  for (const LabelledKey& key : seen) words.push_back(Found(key, label));
  return absl::FailedPreconditionError(absl::StrCat(
      seen.size() > 1 ? absl::StrCat("the label ", Quoted(label), " fits no active key: ") : "",
      absl::StrJoin(words, "; ")));
}

void Locate(SearchPtr search);

void Conclude(SearchPtr search) {
  absl::StatusOr<LabelledKey> verdict = Verdict(search->label, search->seen);
  // The label may have moved since the KMS told where it leads.
  const bool clean = verdict.ok() && WhyUnfit(verdict->info).empty() && verdict->info.labels;
  if (search->remembered && !clean) {
    search->seen.clear();
    Locate(std::move(search));
    return;
  }
  search->done({std::move(verdict)});
}

void InspectNext(SearchPtr search) {
  while (search->seen.size() < search->hits.size()) {
    const std::string& id = search->hits[search->seen.size()];
    const auto known = search->known.find(id);
    if (known == search->known.end()) break;
    search->seen.push_back({id, known->second});
  }
  if (search->seen.size() == search->hits.size()) {
    Conclude(std::move(search));
    return;
  }
  Backend& backend = search->backend;
  const std::string id = search->hits[search->seen.size()];
  const Deadline deadline = search->deadline();
  backend.Inspect(id, deadline,
                  [search = std::move(search), id](absl::StatusOr<KeyInfo> info) mutable {
                    if (info.ok()) {
                      search->seen.push_back({id, *std::move(info)});
                    } else if (absl::IsNotFound(info.status())) {
                      std::erase(search->hits, id);  // it went meanwhile
                    } else {
                      search->done({info.status(), /*told=*/false});
                      return;
                    }
                    InspectNext(std::move(search));
                  });
}

void Locate(SearchPtr search) {
  Backend& backend = search->backend;
  const bool again = search->remembered;
  const std::string label = search->label;
  NextDeadline deadline = [&next = search->deadline] { return next(); };
  backend.Locate(label, std::move(deadline),
                 [search = std::move(search), again](absl::StatusOr<Located> found) mutable {
                   if (!found.ok()) {
                     search->done({found.status(), /*told=*/false});
                     return;
                   }
                   search->remembered = found->remembered && !again;
                   search->hits.clear();
                   for (std::string& id : found->key_ids) {
                     if (id.empty()) {
                       search->done({absl::DataLossError("the KMS found a key without an id"),
                                     /*told=*/false});
                       return;
                     }
                     const bool twice = std::find(search->hits.begin(), search->hits.end(), id) !=
                                        search->hits.end();
                     if (!twice) search->hits.push_back(std::move(id));
                   }
                   if (search->hits.size() > kMaxHits) {
                     search->done({Ambiguous(search->label, search->hits, "keys")});
                     return;
                   }
                   // What the first answer led to was seen too early to speak for the second one.
                   if (again) search->known.clear();
                   InspectNext(std::move(search));
                 });
}

}  // namespace

void FindByLabel(Backend& backend, const std::string& label, KnownKeys known, NextDeadline deadline,
                 absl::AnyInvocable<void(LabelAnswer)> done) {
  Locate(SearchPtr(new Search{
      backend, label, std::move(known), std::move(deadline), std::move(done), {}, false, {}}));
}

}  // namespace okms
