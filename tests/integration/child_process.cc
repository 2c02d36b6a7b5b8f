// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Between fork and exec only calls that are safe in the copy of one thread of many: all that needs
// memory is made before.

#include "integration/child_process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/deadline.h"
#include "base/status.h"

namespace okms::test {
namespace {

constexpr int kFirstPassed = 3;
constexpr int kCannotExec = 127;
constexpr char kPluginUser[] = "OKMS_USER=47000:47000";
constexpr char kListenPid[] = "LISTEN_PID=";

absl::Status Failed(absl::string_view what) {
  return ErrnoStatus(absl::StatusCode::kInternal, what, errno);
}

// A copy of the descriptor with a number that none of the child's will have, closed by exec.
UniqueFd OutOfTheWay(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 100)); }

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

void WriteDecimal(char* target, pid_t number) {
  std::array<char, 16> digits{};
  std::size_t count = 0;
  for (; number > 0; number /= 10) digits[count++] = static_cast<char>('0' + number % 10);
  while (count > 0) *target++ = digits[--count];
  *target = '\0';
}

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

absl::StatusOr<Pipe> NewPipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Failed("pipe");
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  pipe.write = OutOfTheWay(pipe.write.get());
  return pipe;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(const ChildOptions& options) {
  std::vector<std::string> argv = options.argv;
  std::vector<std::string> environment = options.environment;
  // As root the plugin becomes another user: one that is nobody else's here.
  if (::geteuid() == 0 && !options.uid) environment.insert(environment.begin(), kPluginUser);
  if (options.listen_fd >= 0) {
    const bool two = options.status_fd >= 0;
    environment.push_back(absl::StrCat("LISTEN_FDS=", two ? 2 : 1));
    environment.push_back(
        absl::StrCat("LISTEN_FDNAMES=", options.listen_name, two ? ":status" : ""));
    environment.push_back(
        absl::StrCat(kListenPid, "0000000000000"));  // last: filled in by the child
  }
  const std::vector<char*> argv_pointers = Pointers(argv);
  const std::vector<char*> environment_pointers = Pointers(environment);
  char* const pid_text =
      options.listen_fd >= 0 ? environment.back().data() + sizeof kListenPid - 1 : nullptr;

  // Opened here, so that another user needs no access to the folders on its way.
  UniqueFd program(::open(argv[0].c_str(), O_RDONLY | O_CLOEXEC));
  if (!program) return Failed(argv[0]);
  program = OutOfTheWay(program.get());
  const UniqueFd null = OutOfTheWay(UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)).get());
  const UniqueFd listening = OutOfTheWay(options.listen_fd);
  const UniqueFd status = OutOfTheWay(options.status_fd);
  OKMS_ASSIGN_OR_RETURN(Pipe out, NewPipe());
  OKMS_ASSIGN_OR_RETURN(Pipe err, NewPipe());
  if (options.err_fd >= 0) err.write = OutOfTheWay(options.err_fd);
  const pid_t parent = ::getpid();

  const pid_t pid = ::fork();
  if (pid < 0) return Failed("fork");
  if (pid == 0) {
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    ::dup2(null.get(), STDIN_FILENO);
    ::dup2(out.write.get(), STDOUT_FILENO);
    ::dup2(err.write.get(), STDERR_FILENO);
    int first_closed = kFirstPassed;
    if (pid_text != nullptr) {
      ::dup2(listening.get(), first_closed++);
      if (status) ::dup2(status.get(), first_closed++);
      WriteDecimal(pid_text, ::getpid());
    }
    ::syscall(SYS_close_range, first_closed, ~0U, CLOSE_RANGE_CLOEXEC);
    if (options.uid && (::syscall(SYS_setgroups, 0, nullptr) != 0 ||
                        ::syscall(SYS_setresgid, *options.uid, *options.uid, *options.uid) != 0 ||
                        ::syscall(SYS_setresuid, *options.uid, *options.uid, *options.uid) != 0)) {
      ::_exit(kCannotExec);
    }
    const auto limit = [](auto resource, const std::optional<rlimit>& most) {
      if (most && ::setrlimit(resource, &*most) != 0) ::_exit(kCannotExec);
    };
    limit(RLIMIT_NOFILE, options.open_files);
    limit(RLIMIT_NPROC, options.processes);
    limit(RLIMIT_AS, options.address_space);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(kCannotExec);  // it died before that took effect
    ::fexecve(program.get(), argv_pointers.data(), environment_pointers.data());
    ::_exit(kCannotExec);
  }
  // The child is not reaped yet, so the number is still its own.
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) {
    const absl::Status failed = Failed("pidfd_open");
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return failed;
  }
  return std::unique_ptr<ChildProcess>(
      new ChildProcess(pid, std::move(pidfd), std::move(out.read), std::move(err.read)));
}

ChildProcess::~ChildProcess() {
  if (exit_status_) return;
  Signal(SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void ChildProcess::Signal(int signal) const {
  if (!exit_status_) ::kill(pid_, signal);
}

std::optional<int> ChildProcess::Wait(std::chrono::milliseconds limit) {
  if (exit_status_) return exit_status_;
  const Deadline deadline = Clock::now() + limit;
  pollfd entry{pidfd_.get(), POLLIN, 0};
  while (::poll(&entry, 1, PollTimeout(deadline)) <= 0) {
    if (Expired(deadline)) return std::nullopt;
  }
  int status = 0;
  if (::waitpid(pid_, &status, 0) != pid_) return std::nullopt;
  exit_status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  out_.Join();
  err_.Join();
  return exit_status_;
}

std::vector<std::string> ChildProcess::ErrLines() const {
  std::vector<std::string> lines = absl::StrSplit(Err(), '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

bool ChildProcess::WaitForLine(const std::string& part, std::chrono::milliseconds limit) {
  return err_.WaitFor(part, limit);
}

std::string ChildProcess::ProcStatus(const std::string& field) const {
  std::ifstream file(absl::StrCat("/proc/", pid_, "/status"));
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, absl::StrCat(field, ":"))) {
      return std::string(absl::StripAsciiWhitespace(line.substr(field.size() + 1)));
    }
  }
  return "";
}

std::string ChildProcess::Collector::Text() const {
  const std::lock_guard lock(mutex_);
  return text_;
}

bool ChildProcess::Collector::WaitFor(const std::string& part, std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  const auto there = [&] {
    const std::size_t found = text_.find(part);
    return found != std::string::npos && text_.find('\n', found) != std::string::npos;
  };
  grown_.wait_for(lock, limit, [&] { return there() || ended_; });
  return there();
}

void ChildProcess::Collector::Join() {
  if (thread_.joinable()) thread_.join();
}

void ChildProcess::Collector::Read() {
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t size = ::read(fd_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    const std::lock_guard lock(mutex_);
    if (size > 0) text_.append(buffer.data(), static_cast<std::size_t>(size));
    if (size <= 0) ended_ = true;
    grown_.notify_all();
    if (ended_) return;
  }
}

}  // namespace okms::test
