// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/freed_pages.h"

#include <cstdint>
#include <span>

#include "audit/bbolt_page.h"
#include "base/secret.h"
#include "base/status.h"

namespace okms::audit {
namespace {

// Appends one page.
absl::Status ReadPage(const BboltFile& bbolt, std::uint64_t id, WipedBytes& run) {
  run.resize(run.size() + bbolt.page_size());
  return bbolt.file().Read(id * bbolt.page_size(), std::span(run).last(bbolt.page_size()));
}

// Appends the overflow of page `first`, up to where something else was written over it. Whatever
// that was began after `first`, whose head is still there, so there is a page with a head of its
// own before any other that has changed.
absl::Status ReadOverflow(const BboltFile& bbolt, const PageSet& used, std::uint64_t first,
                          WipedBytes& run) {
  const std::uint64_t overflow = ReadHead(run).overflow;
  if (overflow >= kLargestRun / bbolt.page_size()) return absl::OkStatus();
  for (std::uint64_t id = first + 1; id <= first + overflow; ++id) {
    if (id >= used.size() || used[id]) break;
    OKMS_RETURN_IF_ERROR(ReadPage(bbolt, id, run));
    if (IsHeadOf(ReadHead(ByteView(run).last(bbolt.page_size())), id)) {
      run.resize(run.size() - bbolt.page_size());
      break;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ForEachFreed(const BboltFile& bbolt, const PageSet& used, OnElement on_element) {
  WipedBytes run;
  std::uint64_t next = 0;
  for (std::uint64_t id = 2; id < used.size(); id = next) {
    next = id + 1;
    if (used[id]) continue;
    run.clear();
    OKMS_RETURN_IF_ERROR(ReadPage(bbolt, id, run));
    const PageHead head = ReadHead(run);
    if (!IsHeadOf(head, id) || head.kind != kLeafPage) continue;
    OKMS_RETURN_IF_ERROR(ReadOverflow(bbolt, used, id, run));
    next = id + run.size() / bbolt.page_size();
    for (const LeafElement& element : LeafElements(run)) {
      OKMS_RETURN_IF_ERROR(on_element(element));
    }
  }
  return absl::OkStatus();
}

}  // namespace okms::audit
