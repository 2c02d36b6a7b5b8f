// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The sandbox of the real program, as the kernel shows it, over both protocols: for a plugin that
// root starts, and for one that an unprivileged user starts.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/guarded.h"
#include "integration/injected_call.h"
#include "integration/rest_plugin_test.h"
#include "integration/unix_socket.h"

namespace okms::test {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::AnyOf;
using testing::Combine;
using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::Matches;
using testing::MatchesRegex;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;
using testing::Values;

constexpr unsigned kRootsUser = 47000;  // whom a plugin becomes that root starts: ChildProcess
constexpr unsigned kOtherUser = 12345;
constexpr char kNone[] = "0000000000000000";

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// "Name: value" lines.
std::map<std::string, std::string> Fields(const std::string& text) {
  std::map<std::string, std::string> fields;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    fields[std::string(parts.first)] = std::string(absl::StripAsciiWhitespace(parts.second));
  }
  return fields;
}

// What a child of ours, as this user, returns.
int InChildAs(unsigned user, const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0) {
      ::syscall(SYS_setgroups, 0, nullptr);
      ::syscall(SYS_setresgid, user, user, user);
      ::syscall(SYS_setresuid, user, user, user);
    }
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

class SandboxTest : public RestPluginTest {
 protected:
  std::string Proc(const std::string& name) {
    return absl::StrCat("/proc/", plugin().pid(), "/", name);
  }
  std::vector<std::string> Names(const std::string& folder) {
    std::vector<std::string> names;
    std::error_code gone;
    for (fs::directory_iterator entry(Proc(folder), gone); entry != fs::directory_iterator();
         entry.increment(gone)) {
      names.push_back(entry->path().filename());
    }
    return names;
  }
};

enum class Starter { kRoot, kUser };

class ConfinedTest : public SandboxTest,
                     public testing::WithParamInterface<std::tuple<const char*, Starter>> {
 protected:
  ConfinedTest() : user_(::geteuid()) {
    if (Kmip()) UseKmip();
  }

  void SetUp() override {
    ChildOptions options;
    if (::geteuid() == 0) {
      user_ = ByRoot() ? kRootsUser : kOtherUser;
      if (!ByRoot()) options.uid = kOtherUser;
      ASSERT_EQ(::chmod(dir_.path().c_str(), 0777), 0);
      for (const std::string& path : {client_pair_.key, client_pair_.certificate, pki_.ca()}) {
        ASSERT_EQ(::chown(path.c_str(), user_, user_), 0);
      }
    } else if (ByRoot()) {
      GTEST_SKIP() << "only root can start it as root";
    }
    if (Kmip()) {
      StartKms();
    } else {
      StartOkms();
    }
    StartPlugin(std::move(options));
    ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
    ExpectRoundTrip();
  }

  static bool Kmip() { return std::get<0>(GetParam()) == std::string("Kmip"); }
  static bool ByRoot() { return std::get<1>(GetParam()) == Starter::kRoot; }
  unsigned user() const { return user_; }

  void ExpectConfined(const std::string& thread) {
    const std::string text = ReadFile(Proc(absl::StrCat("task/", thread, "/status")));
    if (text.empty()) return;  // it has ended meanwhile
    SCOPED_TRACE(text);
    std::map<std::string, std::string> fields = Fields(text);
    for (const char* const ids : {"Uid", "Gid"}) {
      const std::vector<std::string> parts = absl::StrSplit(fields[ids], '\t');
      EXPECT_THAT(parts, SizeIs(4));
      if (::geteuid() == 0) {
        EXPECT_THAT(parts, Each(absl::StrCat(user_))) << ids;
      }
    }
    for (const char* const set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
      EXPECT_EQ(fields[set], kNone) << set;
    }
    if (ByRoot()) {
      EXPECT_EQ(fields["CapBnd"], kNone);
    }
    if (::geteuid() == 0) {
      EXPECT_EQ(fields["Groups"], "");
    }
    EXPECT_EQ(fields["NoNewPrivs"], "1");
    EXPECT_EQ(fields["Seccomp"], "2");
    EXPECT_THAT(fields["Uid"], Not(StartsWith("0")));
  }

 private:
  unsigned user_;
};

// Each protocol, and each way to be started.
const auto kEachWay = Combine(Values("Kmip", "Rest"), Values(Starter::kRoot, Starter::kUser));

std::string WayName(const testing::TestParamInfo<std::tuple<const char*, Starter>>& way) {
  return absl::StrCat(std::get<0>(way.param),
                      std::get<1>(way.param) == Starter::kRoot ? "ByRoot" : "ByAUser");
}

INSTANTIATE_TEST_SUITE_P(, ConfinedTest, kEachWay, WayName);

TEST_P(ConfinedTest, EveryThreadUnderLoad) {
  constexpr int kClients = 24;
  std::atomic<bool> over = false;
  std::atomic<int> failures = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      const std::unique_ptr<KmsClient> own = NewClient({.timeout = kPatience});
      while (!over) {
        const auto record = own->Encrypt("plaintext of a load test");
        if (!record.ok() || !own->Decrypt(*record).ok()) ++failures;
      }
    });
  }
  std::set<std::string> seen;
  const auto look = [&] {
    for (const std::string& thread : Names("task")) {
      seen.insert(thread);
      ExpectConfined(thread);
    }
  };
  const std::size_t at_first = Names("task").size();
  for (int i = 0; i < 50 && !HasFailure(); ++i) {
    look();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  over = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failures, 0);
  EXPECT_GE(seen.size(), at_first);
  EXPECT_GE(seen.size(), 3U);  // the event loop, gRPC's, the backend's: or the test saw nothing
  EXPECT_EQ(ReadFile(Proc("children")), "");
}

TEST_P(ConfinedTest, ServesAgainAfterARest) {
  // Longer than connections that carried secrets stay: with them goes much of what libcurl has set
  // up, and in the sandbox it must be possible to set it up again.
  constexpr std::chrono::milliseconds kRest{1500};
  for (int i = 0; i < 2; ++i) {
    std::this_thread::sleep_for(kRest);
    ExpectRoundTrip();
  }
  EXPECT_TRUE(plugin().Running());
}

TEST_P(ConfinedTest, NoDumpAndNoGrowingFile) {
  const std::string limits = ReadFile(Proc("limits"));
  EXPECT_THAT(limits, HasSubstr("Max core file size        0                    0   "));
  EXPECT_THAT(limits, HasSubstr("Max file size             0                    0   "));
}

TEST_P(ConfinedTest, ItsUserCannotLookIn) {
  for (const char* const name : {"mem", "environ", "maps", "exe", "fd", "root", "cwd", "auxv"}) {
    const std::string path = Proc(name);
    const int flags = name == std::string("fd") ? O_RDONLY | O_DIRECTORY : O_RDONLY;
    EXPECT_EQ(InChildAs(user(), [&] { return ::open(path.c_str(), flags) >= 0 ? 0 : errno; }),
              EACCES)
        << path;
  }
  const pid_t plugin_pid = plugin().pid();
  EXPECT_EQ(
      InChildAs(
          user(),
          [&] { return ::ptrace(PTRACE_SEIZE, plugin_pid, nullptr, nullptr) == 0 ? 0 : errno; }),
      EPERM);
  // And the test does see what it sees: such a user can look into what is not confined.
  EXPECT_EQ(
      InChildAs(user(), [] { return ::open("/proc/self/status", O_RDONLY) >= 0 ? 0 : errno; }), 0);
}

TEST_P(ConfinedTest, NoFileIsOpenForWriting) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can look";
  int descriptors = 0;
  for (const std::string& fd : Names("fd")) {
    struct stat info {};
    if (::stat(Proc(absl::StrCat("fd/", fd)).c_str(), &info) != 0) continue;
    ++descriptors;
    int flags = 0;
    for (const auto& [name, value] : Fields(ReadFile(Proc(absl::StrCat("fdinfo/", fd))))) {
      if (name == "flags") flags = std::stoi(value, nullptr, 8);
    }
    const bool writable = (flags & O_ACCMODE) != O_RDONLY;
    EXPECT_FALSE(S_ISBLK(info.st_mode)) << fd;
    EXPECT_FALSE(S_ISDIR(info.st_mode)) << fd;
    if (S_ISREG(info.st_mode)) {
      EXPECT_FALSE(writable) << fs::read_symlink(Proc("fd/" + fd));
    }
    if (S_ISCHR(info.st_mode)) {
      EXPECT_EQ(info.st_rdev, ::makedev(1, 3)) << fd << ": not /dev/null";
    }
  }
  EXPECT_GT(descriptors, 5);
}

TEST_P(ConfinedTest, NoMemoryIsBothWritableAndExecutable) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can look";
  const std::string maps = ReadFile(Proc("maps"));
  int executable = 0;
  for (const absl::string_view line : absl::StrSplit(maps, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> parts = absl::StrSplit(line, ' ');
    if (absl::StrContains(parts[1], 'x')) {
      ++executable;
      EXPECT_FALSE(absl::StrContains(parts[1], 'w')) << line;
    }
  }
  EXPECT_GT(executable, 2);
}

TEST_P(ConfinedTest, StartsNothing) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    int process = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &process)) continue;
    std::map<std::string, std::string> fields = Fields(ReadFile(entry.path() / "status"));
    EXPECT_NE(fields["PPid"], absl::StrCat(plugin().pid())) << fields["Name"];
  }
}

// What an attacker who runs code in the plugin would do next.
class InjectionTest : public ConfinedTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can";
#ifndef __x86_64__
    GTEST_SKIP() << "only written for x86-64";
#endif
    std::filesystem::create_directories(dir_ / "usr/bin");
    const std::string key = dir_ / kOutOfReach.substr(1);
    std::filesystem::rename(client_pair_.key, key);
    flags_["--client-key"] = client_pair_.key = key;
    ConfinedTest::SetUp();
    for (const std::string& thread : Names("task")) threads_.push_back(std::stoi(thread));
  }

  absl::StatusOr<std::optional<int64_t>> Inject(pid_t thread, long number,
                                                const std::array<uint64_t, 6>& arguments = {}) {
    absl::StatusOr<std::optional<int64_t>> result;
    WaitUntil([&] {
      result = InjectCall(plugin().pid(), thread, number, arguments);
      return result.status().code() != Code::kUnavailable;
    });
    return result;
  }

  void ExpectDeath(pid_t thread, long number, const std::array<uint64_t, 6>& arguments = {}) {
    const auto result = Inject(thread, number, arguments);
    ASSERT_THAT(result, IsOk());
    EXPECT_FALSE(result->has_value()) << "it returned " << **result;
    EXPECT_EQ(plugin().Wait(), -SIGSYS);
    EXPECT_EQ(StopPlugin(), -SIGSYS);
  }

  // A path of the machine that is in the process's memory: the end of that of the client's key.
  const std::string kOutOfReach = "/usr/bin/env";
  std::vector<pid_t> threads_;  // the first is the event loop's
};

INSTANTIATE_TEST_SUITE_P(, InjectionTest, kEachWay, WayName);

TEST_P(InjectionTest, ACallOfTheListIsMade) {
  for (const pid_t thread : threads_) {
    const auto result = Inject(thread, SYS_getpid);
    ASSERT_THAT(result, IsOk());
    EXPECT_EQ(*result, plugin().pid());
  }
  ExpectRoundTrip();  // and nothing was broken by it
}

TEST_P(InjectionTest, AProgramIsDeath) { ExpectDeath(threads_.front(), SYS_execve); }

TEST_P(InjectionTest, AProgramOfAnotherThreadIsDeath) { ExpectDeath(threads_.back(), SYS_execve); }

TEST_P(InjectionTest, AMountIsDeath) { ExpectDeath(threads_.back(), SYS_mount); }

TEST_P(InjectionTest, ASocketToADaemonIsDeath) {
  ExpectDeath(threads_.back(), SYS_socket, {AF_UNIX, SOCK_STREAM, 0});
}

TEST_P(InjectionTest, OpeningForWritingIsDeath) {
  ExpectDeath(threads_.back(), SYS_openat, {0, 0, O_WRONLY});
}

TEST_P(InjectionTest, FilesAreOutOfReach) {
#ifdef __x86_64__
  const std::string arguments = ReadFile(Proc("cmdline"));
  const std::size_t at = arguments.find(kOutOfReach);
  ASSERT_NE(at, std::string::npos);
  const std::vector<std::string> numbers = absl::StrSplit(ReadFile(Proc("stat")), ' ');
  constexpr std::size_t kArgStart = 47;  // proc(5): field 48; no name of ours has a space
  ASSERT_GT(numbers.size(), kArgStart);
  const uint64_t path = std::stoull(numbers[kArgStart]) + at;
  for (const pid_t thread : threads_) {
    const auto result =
        Inject(thread, SYS_openat, {static_cast<uint64_t>(AT_FDCWD), path, O_RDONLY | O_CLOEXEC});
    ASSERT_THAT(result, IsOk());
    const bool restricted = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) > 0;
    if (restricted) {
      EXPECT_EQ(*result, -EACCES);
    }
  }
  ExpectRoundTrip();
#endif
}

// A layer that the kernel refuses, or claims to have set and has not.
struct Refusal {
  const char* name;
  std::string call;
  int error;
  std::string line;  // a regular expression: all that it says, but for its beginning
};

void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class RefusingTest : public SandboxTest {
 protected:
  RefusingTest() : manager_(Must(BindUnix(dir_ / "notify", SOCK_DGRAM))) { UseKmip(); }
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can refuse it a call without changing it";
    StartKms();
  }

  ChildOptions Refusing(const std::string& call, int error) {
    ChildOptions options;
    options.argv = {OKMS_REFUSE_CALL, call, absl::StrCat(error)};
    for (const std::string& argument : Argv()) options.argv.push_back(argument);
    options.environment = {absl::StrCat("NOTIFY_SOCKET=", dir_ / "notify")};
    return options;
  }
  // All that the service manager was told so far.
  std::vector<std::string> Told() {
    return told_.With([](const std::vector<std::string>& told) { return told; });
  }

 private:
  // All the time, as a manager does: the plugin waits while the queue is full.
  void Listen(const std::stop_token& stop) {
    std::array<char, 4096> buffer{};
    while (!stop.stop_requested()) {
      pollfd entry{manager_.get(), POLLIN, 0};
      if (::poll(&entry, 1, 20) <= 0) continue;
      const ssize_t size = ::recv(manager_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (size <= 0) continue;
      told_.With([&](std::vector<std::string>& told) {
        told.emplace_back(buffer.data(), static_cast<std::size_t>(size));
      });
    }
  }

  const UniqueFd manager_;
  Guarded<std::vector<std::string>> told_;
  std::jthread listener_{[this](const std::stop_token& stop) { Listen(stop); }};
};

class RefusalTest : public RefusingTest, public testing::WithParamInterface<Refusal> {};

TEST_P(RefusalTest, EndsTheStart) {
  const Ended ended = RunToEnd(Refusing(GetParam().call, GetParam().error));
  EXPECT_EQ(ended.exit_status, 1);
  // What comes late comes after the look at files that only root can read.
  EXPECT_THAT(ended.err, MatchesRegex(absl::StrCat(
                             "(warning: renewed certificates will not be read: [^\n]*\n)?"
                             "error: ",
                             GetParam().line, "\n")));
  EXPECT_THAT(Told(), Not(Contains(HasSubstr("READY=1"))));
  EXPECT_THAT(ConnectUnix(socket()), Not(IsOk()));
}

std::string Prctl(int option) { return absl::StrCat("prctl:0=", option); }
std::string Limit(int resource) { return absl::StrCat("prlimit64:1=", resource); }

INSTANTIATE_TEST_SUITE_P(
    , RefusalTest,
    Values(
        Refusal{"Setgroups", "setgroups", EPERM, "cannot drop root's rights: setgroups: .*"},
        Refusal{"Setresgid", "setresgid", EPERM, "cannot drop root's rights: setresgid: .*"},
        Refusal{"Setresuid", "setresuid", EPERM, "cannot drop root's rights: setresuid: .*"},
        Refusal{"SetresuidLies", "setresuid", 0, "the change of user had no effect"},
        Refusal{"Capset", "capset", EPERM, "cannot give up capabilities"},
        Refusal{"CapsetLies", "capset", 0, "capabilities are left"},
        Refusal{"Securebits", Prctl(PR_SET_SECUREBITS), EPERM, "cannot lock the capabilities: .*"},
        Refusal{"Dumpable", Prctl(PR_SET_DUMPABLE), EPERM, "sandbox: not dumpable: .*"},
        Refusal{"CoreLimit", Limit(RLIMIT_CORE), EPERM, "sandbox: no core dump: .*"},
        Refusal{"FileLimit", Limit(RLIMIT_FSIZE), EPERM, "sandbox: no growing file: .*"},
        Refusal{"FileLimitLies", Limit(RLIMIT_FSIZE), 0, "sandbox: no growing file: not set"},
        Refusal{"LandlockVersion", "landlock_create_ruleset", EPERM,
                "sandbox: Landlock: version: .*"},
        Refusal{"LandlockRules", "landlock_add_rule", EPERM, "sandbox: Landlock: TCP port .*"},
        Refusal{"Landlock", "landlock_restrict_self", EPERM, "sandbox: Landlock: restrict: .*"},
        Refusal{"LandlockLies", "landlock_restrict_self", 0,
                "sandbox: Landlock: the rules are not in force"},
        // Only the load for all threads (TSYNC and TSYNC_ESRCH), not the questions before it.
        Refusal{"SeccompLies", "seccomp:1=17", 0, "sandbox: seccomp: the filter is not in force"},
        Refusal{"SeccompLoad", "seccomp:1=17", EPERM,
                "sandbox: seccomp: the kernel does not take the filter; .*"},
        Refusal{"Seccomp", "seccomp", EPERM,
                "sandbox: seccomp: the kernel does not take the filter; .*"},
        Refusal{"SeccompUnknown", "seccomp", ENOSYS, "sandbox: seccomp: .*"}),
    [](const auto& parameter) { return parameter.param.name; });

// libcap-ng sets it as well, and so does a unit with NoNewPrivileges=: what counts is that it is
// set.
TEST_F(RefusingTest, NoNewPrivilegesEndsTheStart) {
  for (const int error : {EPERM, 0}) {
    const Ended ended = RunToEnd(Refusing(Prctl(PR_SET_NO_NEW_PRIVS), error));
    EXPECT_EQ(ended.exit_status, 1);
    EXPECT_THAT(ended.err, AnyOf(StartsWith("error: sandbox: no new privileges: "),
                                 StartsWith("error: cannot lock the capabilities: ")));
    EXPECT_THAT(Told(), Not(Contains(HasSubstr("READY=1"))));
    EXPECT_THAT(ConnectUnix(socket()), Not(IsOk()));
  }
}

TEST_F(RefusingTest, AKernelWithoutLandlockIsSaidAndServes) {
  StartPlugin(Refusing("landlock_create_ruleset", ENOSYS));
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
  const std::string words = "no Landlock in this kernel";
  EXPECT_THAT(plugin().Err(), HasSubstr(words));
  EXPECT_EQ(plugin().ProcStatus("Seccomp"), "2");
  EXPECT_TRUE(WaitUntil([&] {
    return Matches(Contains(
        AllOf(StartsWith("STATUS="), HasSubstr("key key-1; "), HasSubstr("; " + words))))(Told());
  }));
  EXPECT_THAT(Told(), Contains(HasSubstr("READY=1")));
}

TEST_F(RefusingTest, MemoryThatCannotBeLockedIsSaidAndServes) {
  StartPlugin(Refusing("mlockall", EPERM));
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  EXPECT_THAT(plugin().Err(), HasSubstr("memory not locked: "));
}

}  // namespace
}  // namespace okms::test
