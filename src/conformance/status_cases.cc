// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "conformance/cases.h"
#include "conformance/target.h"
#include "core/limits.h"

namespace okms::conformance {
namespace {

constexpr int kManyTimes = 20;

// Whether a folder on the way to it keeps all others out.
bool BehindAClosedFolder(const std::string& path) {
  for (std::size_t end = path.rfind('/'); end != std::string::npos && end > 0;
       end = path.rfind('/', end - 1)) {
    struct stat info {};
    if (::stat(path.substr(0, end).c_str(), &info) == 0 && (info.st_mode & S_IXOTH) == 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

Verdict LookAtSocketFile(Target& target) {
  const std::string& path = target.request().socket;
  if (absl::StartsWith(path, "@")) return Kept();
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return Broken(std::string(ErrnoStatus(absl::StatusCode::kUnavailable, path, errno).message()));
  }
  return S_ISSOCK(info.st_mode) ? Kept() : Broken(absl::StrCat(path, " is no socket"));
}

Verdict LookAtSocketMode(Target& target) {
  const std::string& path = target.request().socket;
  if (absl::StartsWith(path, "@")) {
    return {Outcome::kSkipped,
            "an abstract socket has no mode: whom it lets in, the plugin alone decides"};
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return Unknown("there is no such file");
  if ((info.st_mode & S_IWOTH) == 0 || BehindAClosedFolder(path)) return Kept();
  return Broken(absl::StrFormat("%s has mode %04o, and its folders are open to all users", path,
                                info.st_mode & 07777U));
}

Verdict LookAtStatus(Target& target) {
  const auto status = target.client().Status();
  return status.ok() ? Kept() : Broken(Words(status.status()));
}

Verdict LookAtVersion(Target& target) {
  const auto status = target.client().Status();
  if (!status.ok()) return Broken(Words(status.status()));
  if (status->version == "v2" || status->version == "v2beta1") return Kept();
  return Broken(absl::StrCat("version is \"", Printable(status->version), "\""));
}

Verdict LookAtHealthz(Target& target) {
  const auto status = target.client().Status();
  if (!status.ok()) return Broken(Words(status.status()));
  if (status->healthz == "ok") return Kept();
  return Broken(absl::StrCat("healthz is \"", Printable(status->healthz), "\""));
}

Verdict LookAtKeyId(Target& target) {
  const auto status = target.client().Status();
  if (!status.ok()) return Broken(Words(status.status()));
  if (status->key_id.empty()) return Broken("key_id is empty");
  if (status->key_id.size() <= kMaxKeyIdSize) return Kept();
  return Broken(absl::StrCat("key_id has ", status->key_id.size(), " bytes"));
}

Verdict LookAtStability(Target& target) {
  const auto first = target.client().Status();
  if (!first.ok()) return Broken(Words(first.status()));
  const auto other = target.NewClient();
  for (int i = 0; i < kManyTimes; ++i) {
    const auto next = (i % 2 == 0 ? target.client() : *other).Status();
    if (!next.ok()) return Broken(Words(next.status()));
    if (next->version != first->version) {
      return Broken(absl::StrCat("version was \"", Printable(first->version), "\", then \"",
                                 Printable(next->version), "\""));
    }
    if (next->key_id != first->key_id) {
      return Broken(absl::StrCat("key_id was \"", Printable(first->key_id), "\", then \"",
                                 Printable(next->key_id), "\""));
    }
  }
  return Kept();
}

Verdict LookAtStatusTime(Target& target) {
  const auto patient = target.NewClient(10 * kCallTimeout);
  Clock::duration slowest{0};
  for (int i = 0; i < kManyTimes; ++i) {
    const Deadline began = Clock::now();
    const auto status = patient->Status();
    if (!status.ok()) return Broken(Words(status.status()));
    slowest = std::max(slowest, Clock::now() - began);
    if (slowest < kCallTimeout) continue;
    return Broken(absl::StrCat("a Status took ",
                               std::chrono::duration_cast<milliseconds>(slowest).count(), " ms"));
  }
  return Kept();
}

}  // namespace okms::conformance
