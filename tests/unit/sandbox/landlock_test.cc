// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Landlock alone. What a kernel's level does not cover is expected to be possible: so the tests say
// what each level is worth, and fail when that is said wrongly.

#include "sandbox/landlock.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "support/refuse_call.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "unit/sandbox/child.h"
#include "unit/sandbox/sockets.h"

namespace okms::sandbox {
namespace {

namespace fs = std::filesystem;

using test::ConnectError;
using test::ExpectInChild;
using test::IsOk;
using test::kTestUser;
using test::RefuseCall;
using test::StatusIs;
using ::testing::AnyOf;
using ::testing::StartsWith;

constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;

void Write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::string Read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// 0, or the error of the call.
int Error(long result) { return result >= 0 ? 0 : errno; }
int OpenError(const std::string& path, int flags = O_RDONLY) {
  const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  return Error(fd.get());
}

// The error that is expected of a kernel from this ABI on; before, the call is not restricted.
int From(int first_abi, int abi, int error) { return abi >= first_abi ? error : 0; }

// A thread that was there before the restriction and is not under it: the rest of the machine.
class Outside {
 public:
  Outside() : thread_([this] { Run(); }) {}
  ~Outside() {
    work_.set_value(nullptr);
    thread_.join();
  }
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;

  void Do(std::function<void()> what) {
    std::future<void> done = done_.get_future();
    work_.set_value(std::move(what));
    done.get();
  }

 private:
  void Run() {
    while (const std::function<void()> what = work_.get_future().get()) {
      what();
      work_ = {};
      std::exchange(done_, {}).set_value();
    }
  }

  std::promise<std::function<void()>> work_;
  std::promise<void> done_;
  std::thread thread_;  // last: it uses the others
};

// To be called in a child. Returns the ABI.
int Restrict(const Reach& reach) {
  EXPECT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  const absl::StatusOr<int> abi = RestrictReach(reach);
  EXPECT_THAT(abi, IsOk());
  return abi.value_or(0);
}

class LandlockTest : public ::testing::Test {
 protected:
  LandlockTest() {
    fs::create_directories(directory_ / "etc/sub");
    fs::create_directories(directory_ / "run");
    fs::create_directories(directory_ / "other");
    Write(allowed_, "allowed");
    Write(elsewhere_, "elsewhere");
    // What the kernel itself says.
    const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1);
    abi_ = abi < 0 ? 0 : static_cast<int>(abi);
  }

  const test::TempDir directory_;
  const std::string allowed_ = directory_ / "etc/hosts";
  const std::string elsewhere_ = directory_ / "other/secret";
  const Reach reach_{.files = {allowed_}, .tcp_ports = {}};
  int abi_ = 0;
};

// As Kubernetes swings them.
TEST_F(LandlockTest, OwnFilesThatAreReplacedStayInReach) {
  fs::create_directories(directory_ / "certs/..1");
  fs::create_directory_symlink("..1", directory_ / "certs/..data");
  fs::create_symlink("..data/tls.crt", directory_ / "certs/tls.crt");
  Write(directory_ / "certs/..1/tls.crt", "first");
  ExpectInChild([&] {
    Outside outside;
    const int abi =
        Restrict({.files = {}, .own_files = {directory_ / "certs/tls.crt"}, .tcp_ports = {}});
    EXPECT_EQ(Read(directory_ / "certs/tls.crt"), "first");
    outside.Do([&] {
      fs::create_directories(directory_ / "certs/..2");
      Write(directory_ / "certs/..2/tls.crt", "second");
      fs::create_directory_symlink("..2", directory_ / "certs/..tmp");
      fs::rename(directory_ / "certs/..tmp", directory_ / "certs/..data");
    });
    EXPECT_EQ(Read(directory_ / "certs/tls.crt"), "second");
    EXPECT_EQ(OpenError(elsewhere_), From(1, abi, EACCES));
  });
}

TEST_F(LandlockTest, OwnFilesThatAreNotThereGrantNothing) {
  ExpectInChild([&] {
    const int abi =
        Restrict({.files = {}, .own_files = {directory_ / "other/sub/none"}, .tcp_ports = {}});
    EXPECT_EQ(OpenError(elsewhere_), From(1, abi, EACCES));
  });
}

TEST_F(LandlockTest, ReportsTheLevelOfTheKernel) {
  ExpectInChild([&] { EXPECT_EQ(Restrict(reach_), abi_); });
}

TEST(DescribeLandlock, SaysTheLevelOrThatThereIsNone) {
  EXPECT_EQ(DescribeLandlock(0),
            "no Landlock in this kernel: it restricts neither files nor ports");
  EXPECT_EQ(DescribeLandlock(7), "Landlock ABI 7");
}

TEST_F(LandlockTest, OnlyWhatIsNamedCanBeRead) {
  ExpectInChild([&] {
    const int abi = Restrict(reach_);
    EXPECT_EQ(Read(allowed_), "allowed");
    EXPECT_EQ(OpenError(elsewhere_), From(1, abi, EACCES));
    EXPECT_EQ(OpenError("/etc/passwd"), From(1, abi, EACCES));
    EXPECT_EQ(OpenError("/proc/self/environ"), From(1, abi, EACCES));
  });
}

TEST_F(LandlockTest, WithoutFilesNothingCanBeRead) {
  ExpectInChild([&] {
    const int abi = Restrict({});
    EXPECT_EQ(OpenError(allowed_), From(1, abi, EACCES));
  });
}

TEST_F(LandlockTest, AFileThatReplacesItCanBeRead) {
  ExpectInChild([&] {
    Outside outside;
    Restrict(reach_);
    outside.Do([&] {
      Write(directory_ / "etc/hosts.new", "replaced");
      fs::rename(directory_ / "etc/hosts.new", allowed_);
    });
    EXPECT_EQ(Read(allowed_), "replaced");
  });
}

TEST_F(LandlockTest, AFileThatIsYetToComeCanBeRead) {
  ExpectInChild([&] {
    Outside outside;
    fs::remove(allowed_);
    Restrict(reach_);
    outside.Do([&] { Write(allowed_, "late"); });
    EXPECT_EQ(Read(allowed_), "late");
  });
}

// As resolv.conf is one, to the file of a name server that may start later.
TEST_F(LandlockTest, WhereALinkLeadsCanBeRead) {
  ExpectInChild([&] {
    const std::string name = directory_ / "etc/resolv.conf";
    fs::create_symlink("../run/stub/resolv.conf", name);
    fs::create_symlink(directory_ / "run/real", directory_ / "run/stub");
    fs::create_directory(directory_ / "run/real");
    Write(directory_ / "run/real/resolv.conf", "linked");
    Outside outside;
    const int abi = Restrict({.files = {name}, .tcp_ports = {}});
    EXPECT_EQ(Read(name), "linked");
    outside.Do([&] {
      Write(directory_ / "run/real/new", "replaced");
      fs::rename(directory_ / "run/real/new", directory_ / "run/real/resolv.conf");
    });
    EXPECT_EQ(Read(name), "replaced");
    EXPECT_EQ(OpenError(elsewhere_), From(1, abi, EACCES));
  });
}

TEST_F(LandlockTest, WhereALinkWillLeadCanBeRead) {
  ExpectInChild([&] {
    const std::string name = directory_ / "etc/resolv.conf";
    fs::create_symlink(directory_ / "run/later/stub/resolv.conf", name);
    Outside outside;
    const int abi = Restrict({.files = {name}, .tcp_ports = {}});
    EXPECT_EQ(OpenError(name), ENOENT);
    outside.Do([&] {
      fs::create_directories(directory_ / "run/later/stub");
      Write(directory_ / "run/later/stub/resolv.conf", "late");
    });
    EXPECT_EQ(Read(name), "late");
    EXPECT_EQ(OpenError(elsewhere_), From(1, abi, EACCES));
  });
}

TEST_F(LandlockTest, ALinkThatLeadsToItselfEnds) {
  ExpectInChild([&] {
    const std::string name = directory_ / "etc/loop";
    fs::create_symlink("loop", name);
    Restrict({.files = {name}, .tcp_ports = {}});
    EXPECT_EQ(OpenError(name), ELOOP);
  });
}

TEST_F(LandlockTest, AFileAtTheTopGrantsNothing) {
  ExpectInChild([&] {
    const int abi = Restrict({.files = {"/okms-no-such-file"}, .tcp_ports = {}});
    EXPECT_EQ(OpenError(elsewhere_), From(1, abi, EACCES));
    EXPECT_EQ(OpenError("/etc/passwd"), From(1, abi, EACCES));
  });
}

TEST_F(LandlockTest, ADeviceIsGrantedAlone) {
  ExpectInChild([&] {
    const int abi = Restrict({.files = {"/dev/null"}, .tcp_ports = {}});
    const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_TRUE(static_cast<bool>(null));
    EXPECT_EQ(OpenError("/dev/zero"), From(1, abi, EACCES));
    int count = 0;
    EXPECT_EQ(Error(::ioctl(null.get(), TIOCOUTQ, &count)), abi >= 5 ? EACCES : ENOTTY);
  });
}

TEST_F(LandlockTest, DirectoriesCannotBeListed) {
  ExpectInChild([&] {
    const int abi = Restrict(reach_);
    for (const std::string part : {"etc", "etc/sub", "other", ""}) {
      EXPECT_EQ(OpenError(directory_ / part, O_DIRECTORY), From(1, abi, EACCES)) << part;
    }
  });
}

TEST_F(LandlockTest, NothingCanBeChanged) {
  for (const std::string part : {"etc", "other"}) {
    SCOPED_TRACE(part);
    ExpectInChild([&] {
      const std::string folder = directory_ / part;
      const std::string file = folder + "/file";
      const std::string made = folder + "/made";
      Write(file, "text");
      fs::create_directory(folder + "/empty");
      const int abi = Restrict(reach_);
      const int refused = From(1, abi, EACCES);
      EXPECT_EQ(OpenError(file, O_WRONLY), refused);
      EXPECT_EQ(OpenError(file, O_RDWR), refused);
      EXPECT_EQ(OpenError(file, O_WRONLY | O_APPEND), refused);
      EXPECT_EQ(OpenError(file, O_WRONLY | O_TRUNC), refused);
      EXPECT_EQ(OpenError(made, O_WRONLY | O_CREAT), refused);
      EXPECT_EQ(Error(::unlink(file.c_str())), refused);
      EXPECT_EQ(Error(::rmdir((folder + "/empty").c_str())), refused);
      EXPECT_EQ(Error(::mkdir(made.c_str(), 0700)), refused);
      EXPECT_EQ(Error(::symlink("file", (made + "1").c_str())), refused);
      EXPECT_EQ(Error(::mkfifo((made + "2").c_str(), 0600)), refused);
      EXPECT_EQ(Error(::rename(allowed_.c_str(), (made + "3").c_str())), refused);
      // With no right to it, a link to another folder is one between file systems.
      EXPECT_THAT(Error(::link(allowed_.c_str(), (made + "4").c_str())),
                  AnyOf(refused, From(1, abi, EXDEV)));
      EXPECT_EQ(Error(::truncate(file.c_str(), 0)), From(3, abi, EACCES));
    });
  }
}

TEST_F(LandlockTest, NoProgramCanBeRun) {
  // It would end the child with a failure.
  const auto run = [](const char* program) {
    const char* const argv[] = {program, nullptr};
    ::execv(program, const_cast<char* const*>(argv));
    return errno;
  };
  ExpectInChild([&] {
    if (Restrict(reach_) == 0) return;  // it would run
    EXPECT_EQ(run("/bin/false"), EACCES);
  });
  // Neither one that can be read, with all that it needs.
  ExpectInChild([&] {
    const std::string program = directory_ / "etc/false";
    fs::copy_file("/bin/false", program);
    const auto library = [](const void* address) -> std::string {
      Dl_info info{};
      return ::dladdr(address, &info) != 0 ? info.dli_fname : "";
    };
    const std::string loader = library(reinterpret_cast<const void*>(::getauxval(AT_BASE)));
    const std::string libc = library(::dlsym(RTLD_DEFAULT, "getpid"));
    if (Restrict({.files = {program, loader, libc}, .tcp_ports = {}}) == 0) return;
    for (const std::string& file : {program, loader, libc}) EXPECT_EQ(OpenError(file), 0) << file;
    EXPECT_EQ(run(program.c_str()), EACCES);
  });
}

TEST_F(LandlockTest, OnlyTheNamedPortsCanBeConnectedTo) {
  const test::TcpListener allowed;
  const test::TcpListener other;
  const uint16_t nobody = [] { return test::TcpListener().port(); }();
  ExpectInChild([&] {
    const int abi = Restrict({.files = {}, .tcp_ports = {allowed.port(), nobody}});
    EXPECT_EQ(ConnectError(allowed.port()), 0);
    EXPECT_EQ(ConnectError(nobody), ECONNREFUSED);
    EXPECT_EQ(ConnectError(other.port()), From(4, abi, EACCES));
  });
}

TEST_F(LandlockTest, NoPortCanBeBound) {
  const test::TcpListener allowed;
  ExpectInChild([&] {
    const int abi = Restrict({.files = {}, .tcp_ports = {allowed.port()}});
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in any = test::Loopback(0);
    EXPECT_EQ(Error(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any)),
              From(4, abi, EACCES));
  });
}

TEST_F(LandlockTest, AbstractSocketsOfOthersAreOutOfReach) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = absl::StrCat("okms-landlock-test-", ::getpid());
  name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), generic, size), 0);
  ASSERT_EQ(::listen(listener.get(), 8), 0);
  ExpectInChild([&] {
    const int abi = Restrict(reach_);
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(Error(::connect(fd.get(), generic, size)), From(6, abi, EPERM));
  });
}

TEST_F(LandlockTest, NoSignalReachesOthers) {
  ExpectInChild([&] {
    const pid_t parent = ::getppid();
    ASSERT_EQ(::kill(parent, 0), 0);
    const int abi = Restrict(reach_);
    EXPECT_EQ(Error(::kill(parent, 0)), From(6, abi, EPERM));
    EXPECT_EQ(::kill(::getpid(), 0), 0);
  });
}

TEST_F(LandlockTest, ThreadsThatComeLaterAreRestricted) {
  ExpectInChild([&] {
    const int abi = Restrict(reach_);
    std::thread([&] { EXPECT_EQ(OpenError(elsewhere_), From(1, abi, EACCES)); }).join();
  });
}

TEST_F(LandlockTest, NeedsNoNewPrivileges) {
  if (test::IsWithoutNewPrivileges()) GTEST_SKIP() << test::kIsWithoutNewPrivileges;
  ExpectInChild([&] {
    // Root may do without. (DropPrivileges would not serve: libcap-ng sets it.)
    if (::geteuid() == 0) {
      ASSERT_EQ(::setresuid(kTestUser, kTestUser, kTestUser), 0);
    }
    const absl::StatusOr<int> abi = RestrictReach({});
    if (abi_ == 0) {
      EXPECT_THAT(abi, IsOk());
      return;
    }
    EXPECT_THAT(
        abi, StatusIs(kFailedPrecondition, "sandbox: Landlock: restrict: Operation not permitted"));
  });
}

// ENOSYS: not built in; EOPNOTSUPP: not switched on at boot.
TEST_F(LandlockTest, AKernelWithoutItIsNoError) {
  for (const int error : {ENOSYS, EOPNOTSUPP}) {
    ExpectInChild([&] {
      ASSERT_THAT(RefuseCall("landlock_create_ruleset", error), IsOk());
      EXPECT_EQ(Restrict(reach_), 0);
      EXPECT_EQ(OpenError(elsewhere_), 0);
    });
  }
}

TEST_F(LandlockTest, AKernelThatRefusesItIsAnError) {
  if (abi_ == 0) return;  // there is nothing to refuse
  const std::pair<const char*, std::string> refusals[] = {
      {"landlock_create_ruleset", "sandbox: Landlock: version: Operation not permitted"},
      {"landlock_create_ruleset:1=24", "sandbox: Landlock: rule set: Operation not permitted"},
      {"landlock_add_rule:1=1",
       absl::StrCat("sandbox: Landlock: ", fs::canonical(directory_ / "etc").string(),
                    ": Operation not permitted")},
      {"landlock_restrict_self", "sandbox: Landlock: restrict: Operation not permitted"},
  };
  for (const auto& [call, line] : refusals) {
    SCOPED_TRACE(call);
    ExpectInChild([&, &call = call, &line = line] {
      ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
      ASSERT_THAT(RefuseCall(call, EPERM), IsOk());
      EXPECT_THAT(RestrictReach(reach_), StatusIs(kFailedPrecondition, line));
    });
  }
  ExpectInChild([&] {
    ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_THAT(RefuseCall("landlock_add_rule:1=2", EPERM), IsOk());
    const absl::StatusOr<int> abi = RestrictReach({.files = {}, .tcp_ports = {5696}});
    if (abi_ < 4) {
      EXPECT_THAT(abi, IsOk());
      return;
    }
    EXPECT_THAT(abi, StatusIs(kFailedPrecondition,
                              "sandbox: Landlock: TCP port 5696: Operation not permitted"));
  });
}

}  // namespace
}  // namespace okms::sandbox
