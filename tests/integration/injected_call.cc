// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "integration/injected_call.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <cerrno>

#include "absl/status/status.h"
#include "base/status.h"

namespace okms::test {

#ifdef __x86_64__

namespace {

absl::Status Failed(const char* what) {
  return ErrnoStatus(absl::StatusCode::kInternal, what, errno);
}

// Waits until the thread stops (true) or is gone (false). The process itself is left for its owner
// to reap; a traced thread of it must be reaped here, or the process never ends.
absl::StatusOr<bool> Stops(pid_t process, pid_t thread) {
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(thread), &info, WEXITED | WSTOPPED | WNOWAIT | __WALL) !=
      0) {
    return Failed("waitid");
  }
  const bool gone =
      info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED;
  if (!gone || thread != process) ::waitpid(thread, nullptr, __WALL);
  return !gone;
}

}  // namespace

absl::StatusOr<std::optional<int64_t>> InjectCall(pid_t process, pid_t thread, long number,
                                                  const std::array<uint64_t, 6>& arguments) {
  if (::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) != 0) return Failed("seize");
  if (::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) != 0) return Failed("interrupt");
  OKMS_ASSIGN_OR_RETURN(bool there, Stops(process, thread));
  if (!there) return absl::InternalError("it was gone before");

  user_regs_struct before{};
  if (::ptrace(PTRACE_GETREGS, thread, nullptr, &before) != 0) return Failed("read registers");
  // The instruction that it waits in, to be used again.
  constexpr unsigned kSyscall = 0x050F;
  constexpr unsigned kSize = 2;
  const auto at = before.rip - kSize;
  errno = 0;
  const long code = ::ptrace(PTRACE_PEEKTEXT, thread, at, nullptr);
  if (errno != 0 || (static_cast<unsigned long>(code) & 0xFFFF) != kSyscall) {
    ::ptrace(PTRACE_DETACH, thread, nullptr, nullptr);
    return absl::UnavailableError("the thread does not wait in a system call");
  }
  user_regs_struct call = before;
  call.rip = at;
  call.rax = static_cast<unsigned long long>(number);
  call.orig_rax = ~0ULL;  // the call that was interrupted is not begun again
  call.rdi = arguments[0];
  call.rsi = arguments[1];
  call.rdx = arguments[2];
  call.r10 = arguments[3];
  call.r8 = arguments[4];
  call.r9 = arguments[5];
  if (::ptrace(PTRACE_SETREGS, thread, nullptr, &call) != 0) return Failed("set registers");
  if (::ptrace(PTRACE_SINGLESTEP, thread, nullptr, nullptr) != 0) return Failed("step");
  OKMS_ASSIGN_OR_RETURN(there, Stops(process, thread));
  if (!there) return std::nullopt;

  user_regs_struct after{};
  if (::ptrace(PTRACE_GETREGS, thread, nullptr, &after) != 0) return Failed("read registers");
  ::ptrace(PTRACE_SETREGS, thread, nullptr, &before);
  ::ptrace(PTRACE_DETACH, thread, nullptr, nullptr);
  return static_cast<int64_t>(after.rax);
}

#else

absl::StatusOr<std::optional<int64_t>> InjectCall(pid_t, pid_t, long,
                                                  const std::array<uint64_t, 6>&) {
  return absl::UnimplementedError("only written for x86-64");
}

#endif

}  // namespace okms::test
