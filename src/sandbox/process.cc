// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "sandbox/process.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace okms::sandbox {
namespace {

absl::Status Failed(absl::string_view what) {
  return ErrnoStatus(absl::StatusCode::kFailedPrecondition, absl::StrCat("sandbox: ", what), errno);
}

absl::Status SetToZero(decltype(RLIMIT_CORE) resource, absl::string_view what) {
  const rlimit none{0, 0};
  rlimit now{1, 1};
  if (::setrlimit(resource, &none) != 0 || ::getrlimit(resource, &now) != 0) return Failed(what);
  if (now.rlim_max == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("sandbox: ", what, ": not set"));
}

bool LogIsFile() {
  struct stat info {};
  return ::fstat(STDERR_FILENO, &info) == 0 && S_ISREG(info.st_mode);
}

// Empty when memory is locked, else why not.
std::string LockMemory() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return "its limit is unknown";
  // With a finite limit, every later allocation beyond it would fail: worse than a page in swap.
  if (limit.rlim_cur != RLIM_INFINITY) {
    return absl::StrCat("RLIMIT_MEMLOCK is ", limit.rlim_cur,
                        " bytes, not unlimited (LimitMEMLOCK=infinity in a unit)");
  }
  // Pages are locked as they are touched: locking whole stacks and heaps would cost their full
  // size.
  if (::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0) return "";
  return std::string(Failed("mlockall").message());
}

}  // namespace

void RaiseMemoryLimit() {
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  if (::setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0) return;
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_MEMLOCK, &limit);
}

absl::StatusOr<std::vector<std::string>> LockDown() {
  std::vector<std::string> let_go;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Failed("no new privileges");
  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
    return absl::FailedPreconditionError("sandbox: no new privileges: not set");
  }
  // Also makes /proc/PID root's: another process of the same user sees neither memory nor
  // environment.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return Failed("not dumpable");
  if (::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return absl::FailedPreconditionError("sandbox: not dumpable: not set");
  }
  OKMS_RETURN_IF_ERROR(SetToZero(RLIMIT_CORE, "no core dump"));
  if (LogIsFile()) {
    // Nothing else can be written: no file is open, and none can be opened for writing.
    let_go.emplace_back("file size not limited, since the log is a file");
  } else {
    OKMS_RETURN_IF_ERROR(SetToZero(RLIMIT_FSIZE, "no growing file"));
  }
  if (const std::string why = LockMemory(); !why.empty()) {
    let_go.push_back(absl::StrCat("memory not locked: ", why));
  }
  return let_go;
}

}  // namespace okms::sandbox
