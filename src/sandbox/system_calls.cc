// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Measured with Debian 12's libraries (strace of loaded runs over both protocols), with what newer
// libraries are known to use instead. Not here, and so the end of the process: running a program,
// making a process, tracing, bpf, io_uring, keys, mounts, namespaces, opening for writing,
// removing, binding and listening, memory that can be written or was written and then executed.

#include "sandbox/system_calls.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <cerrno>

namespace okms::sandbox {
namespace {

constexpr uint64_t kInt = 0xffff'ffff;  // all bits of an int

constexpr uint64_t kSocketType = 0xf;  // beside it, SOCK_CLOEXEC and SOCK_NONBLOCK

constexpr uint64_t kOpenForMore =
    O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY);

// Just what pthread_create(3) asks for: a thread of this process, with nothing new about it.
constexpr uint64_t kThread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                             CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
                             CLONE_CHILD_CLEARTID;

}  // namespace

std::span<const AllowedCall> AllowedCalls() {
  static const std::vector<AllowedCall> calls = {
      // Memory. Nothing becomes executable: no call maps or remakes memory with PROT_EXEC.
      {"brk", "malloc"},
      {"mmap", "malloc, stacks of threads", {{2, PROT_EXEC, 0}}},
      {"mprotect", "malloc's arenas, guard pages of stacks", {{2, PROT_EXEC, 0}}},
      {"munmap", "free, the end of threads"},
      {"madvise", "malloc gives memory back; the stack of a thread that ends"},

      // Threads.
      {"clone", "pthread_create", {{0, kInt, kThread}}},
      {"rseq", "the start of a thread"},
      {"rt_sigprocmask", "the start and end of a thread"},
      {"prctl", "names of gRPC's threads", {{0, kInt, PR_SET_NAME}}},
      {"prctl",
       "names of newer Abseil's memory",
       {{0, kInt, PR_SET_VMA}, {1, kInt, PR_SET_VMA_ANON_NAME}}},
      {"futex", "locks, condition variables"},
      {"getcpu", "sched_getcpu of gRPC and of other mallocs, where it needs a call (gVisor)"},
      {"sched_yield", "spin locks of Abseil"},
      {"sched_getparam", "Abseil's mutexes, when threads wait"},
      {"sched_getscheduler", "the same"},
      {"exit", "the end of a thread"},
      {"exit_group", "the end of the process"},
      {"getpid", "OpenSSL and gRPC look whether they were forked"},
      {"gettid", "gRPC's log, abort"},
      {"tgkill", "abort: a broken promise must look like one", {{2, kInt, SIGABRT}}},

      // Time.
      {"clock_gettime", "where the clock is not readable without a call (some hypervisors)"},
      {"gettimeofday", "the same, OpenSSL"},
      {"clock_nanosleep", "gRPC's back-off"},
      {"restart_syscall", "a wait goes on after SIGCONT"},
      {"timerfd_settime", "timers of the event loop"},

      // Waiting.
      {"epoll_wait", "gRPC, the event loop", {}, "epoll_pwait"},
      {"epoll_ctl", "gRPC, the event loop"},
      {"poll", "connections to the KMS, name servers", {}, "ppoll"},

      // Descriptors that are there.
      {"read", "sockets, timers, wake-ups, files of names"},
      {"write", "the log, sockets, wake-ups"},
      {"close", "connections"},
      {"eventfd2", "newer releases of libcurl, when connections are thrown away"},
      {"fcntl", "libcurl, c-ares: is it blocking?", {{1, kInt, F_GETFL}}},
      {"fcntl", "libcurl, c-ares: not blocking", {{1, kInt, F_SETFL}}},
      {"fcntl", "c-ares: close on exec", {{1, kInt, F_SETFD}}},
      {"fcntl", "a second hold on a connection, for its end", {{1, kInt, F_DUPFD_CLOEXEC}}},

      // Sockets. Those of AF_UNIX are only taken in, never made: no way to another daemon's.
      {"accept4", "kube-apiserver connects"},
      {"socket", "to the KMS", {{0, kInt, AF_INET}, {1, kSocketType, SOCK_STREAM}, {2, kInt, 0}}},
      {"socket", "to the KMS", {{0, kInt, AF_INET6}, {1, kSocketType, SOCK_STREAM}, {2, kInt, 0}}},
      {"socket",
       "the same, libcurl",
       {{0, kInt, AF_INET}, {1, kSocketType, SOCK_STREAM}, {2, kInt, IPPROTO_TCP}}},
      {"socket",
       "the same, libcurl",
       {{0, kInt, AF_INET6}, {1, kSocketType, SOCK_STREAM}, {2, kInt, IPPROTO_TCP}}},
      {"socket",
       "to name servers",
       {{0, kInt, AF_INET}, {1, kSocketType, SOCK_DGRAM}, {2, kInt, 0}}},
      {"socket",
       "to name servers",
       {{0, kInt, AF_INET6}, {1, kSocketType, SOCK_DGRAM}, {2, kInt, 0}}},
      {"socket",
       "the order of addresses",
       {{0, kInt, AF_INET}, {1, kSocketType, SOCK_DGRAM}, {2, kInt, IPPROTO_UDP}}},
      {"socket",
       "the order of addresses",
       {{0, kInt, AF_INET6}, {1, kSocketType, SOCK_DGRAM}, {2, kInt, IPPROTO_UDP}}},
      {"connect", "to the KMS and name servers"},
      {"getsockname", "gRPC, libcurl, the order of addresses"},
      {"getpeername", "gRPC, libcurl"},
      {"getsockopt",
       "who connects (SO_PEERCRED, SO_PEERGROUPS), the outcome of connect (SO_ERROR)"},
      {"setsockopt", "TCP_NODELAY and the like"},
      {"recvmsg", "gRPC"},
      {"recvfrom", "libcurl, name servers"},
      {"sendmsg", "gRPC"},
      {"sendto", "libcurl, name servers, the service manager, the journal"},
      {"writev", "name servers over TCP"},
      {"shutdown", "the end of a connection"},

      // Files: the name service's, and our certificates and keys, as far as Landlock grants them.
      {"openat", "to read", {{2, kOpenForMore, O_RDONLY}}},
      {"newfstatat", "the size of a file, whether it is another one", {}, "fstat"},
      {"fstat", "the same, newer C libraries"},
      {"lseek", "the same, c-ares; fclose"},

      // The rest.
      {"uname", "gRPC looks which kernel this is, c-ares for the host's domain"},
      {"getrandom", "OpenSSL, malloc of newer C libraries"},
      {"sysinfo", "qsort of glibc before 2.37: how much memory? c-ares sorts what DNS answers"},
  };
  return calls;
}

std::span<const RefusedCall> RefusedCalls() {
  static const std::vector<RefusedCall> calls = {
      // Its flags are in memory, where a filter cannot look: libc goes on with clone.
      {"clone3", ENOSYS, "pthread_create"},
      {"epoll_pwait2", ENOSYS, "the event loop of newer libraries goes on with epoll_wait"},
      {"sched_getaffinity", EPERM, "malloc: how many arenas? Two processors are assumed"},
      {"mremap", ENOMEM, "realloc of large blocks copies instead"},
      {"access", EACCES, "mimalloc: how many memory nodes? One is assumed"},
      {"faccessat", EACCES, "the same, where there is no access"},
      {"set_robust_list", ENOSYS, "pthread_create; for mutexes shared by processes"},
      {"ioctl", ENOTTY, "stdio asks whether a device is a terminal"},
      {"signalfd4", EPERM, "the event loop, as it ends"},
      // The one kind of AF_UNIX socket that does not end the process: it is not made either.
      {"socket",
       EAFNOSUPPORT,
       "c-ares 1.24 and later, if_nametoindex: it goes on with AF_INET, and to ioctl",
       {{0, kInt, AF_UNIX}, {1, kSocketType, SOCK_DGRAM}, {2, kInt, 0}}},
      {"socketpair", EPERM, "libcurl, for a wake-up that we do not use"},
      {"rt_sigaction", EPERM, "libcurl ignores SIGPIPE, as we do all along"},
  };
  return calls;
}

}  // namespace okms::sandbox
