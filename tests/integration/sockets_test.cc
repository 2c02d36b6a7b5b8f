// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The unix socket: which kinds there are, what is never taken away from others, and its end.

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/unix_address.h"
#include "integration/http2.h"
#include "integration/plugin_test.h"
#include "integration/unix_socket.h"

namespace okms::test {
namespace {

using testing::HasSubstr;

class SocketsTest : public PluginTest {
 protected:
  SocketsTest() { StartKms(); }

  // The plugin ends with status 1 and this one line.
  void ExpectRefused(const std::string& line, ChildOptions options = {}) {
    const Ended ended = RunToEnd(std::move(options));
    EXPECT_EQ(ended.exit_status, 1);
    EXPECT_EQ(ended.err, absl::StrCat("error: ", line, "\n"));
    EXPECT_EQ(ended.out, "");
  }
};

// What lies at a path; nullopt when nothing does.
std::optional<struct stat> At(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return std::nullopt;
  return info;
}

bool IsSocket(const std::string& path) {
  const auto info = At(path);
  return info && S_ISSOCK(info->st_mode);
}

TEST_F(SocketsTest, IsForItsUserAndGroupOnly) {
  const mode_t before = ::umask(0);
  StartPlugin();
  ::umask(before);
  ASSERT_TRUE(IsSocket(socket()));
  EXPECT_EQ(At(socket())->st_mode & 07777, 0660U);
}

TEST_F(SocketsTest, IsForItsUserAndGroupWhateverTheMask) {
  const mode_t before = ::umask(0777);
  LaunchPlugin();
  ::umask(before);
  ASSERT_TRUE(plugin().WaitForLine(" serves "));
  EXPECT_EQ(At(socket())->st_mode & 07777, 0660U);
}

TEST_F(SocketsTest, HasTheGroupOfTheFlag) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files to other groups";
  flags_["--sock-group"] = "4242";
  StartPlugin();
  EXPECT_EQ(At(socket())->st_gid, 4242U);
  EXPECT_EQ(At(socket())->st_mode & 07777, 0660U);
}

// The plugin has no right to remove a file once it serves.
TEST_F(SocketsTest, StaysAtTheEndAndIsReplacedAtTheNextStart) {
  for (const int signal : {SIGTERM, SIGINT}) {
    StartReady();
    ASSERT_TRUE(IsSocket(socket()));
    EXPECT_EQ(StopPlugin(signal), 0);
    EXPECT_TRUE(IsSocket(socket()));
    EXPECT_FALSE(ConnectUnix(socket()).ok()) << "somebody listens there still";
  }
  StartReady();
  ExpectRoundTrip();
}

TEST_F(SocketsTest, ConnectionsThatStayOpenDoNotHoldUpTheEndForLong) {
  flags_["--timeout"] = "1s";
  StartReady();
  const UniqueFd silent = Must(ConnectUnix(socket()));
  const UniqueFd deaf = Must(ConnectUnix(socket()));  // hears no GOAWAY
  const Heard heard = Exchange(deaf.get(), Http2Call("Status", "localhost", ""), Http2Ended);
  ASSERT_TRUE(Http2Message(heard.bytes).has_value());
  plugin().Signal(SIGTERM);
  EXPECT_EQ(plugin().Wait(std::chrono::seconds(10)), 0);
  EXPECT_THAT(plugin().Err(), HasSubstr("info: stopping: Terminated"));
  StartPlugin();
}

TEST_F(SocketsTest, EndsWithoutAKmsToo) {
  StopKms();
  StartPlugin();
  EXPECT_EQ(StopPlugin(), 0);
}

TEST_F(SocketsTest, OfAnotherProgramIsNotRemovedAtTheEnd) {
  StartReady();
  ASSERT_EQ(::unlink(socket().c_str()), 0);
  const UniqueFd theirs = Must(BindUnix(socket()));
  EXPECT_EQ(StopPlugin(), 0);
  EXPECT_TRUE(IsSocket(socket()));
}

TEST_F(SocketsTest, RemovedIsSaidOnceAndWhoIsConnectedGoesOn) {
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);  // the user whom it becomes may look
  StartReady();
  ExpectRoundTrip();
  const std::string aside = dir_ / "aside.sock";
  ASSERT_EQ(::rename(socket().c_str(), aside.c_str()), 0);
  const std::string gone = absl::StrCat(
      "error: ", socket(),
      ": our socket file was removed: nobody can connect any more; restart this service");
  ASSERT_TRUE(plugin().WaitForLine(gone)) << plugin().Err();
  ExpectRoundTrip();
  const UniqueFd theirs = Must(BindUnix(socket()));
  ASSERT_TRUE(plugin().WaitForLine("our socket file was replaced: nobody can connect any more"));
  ASSERT_EQ(::rename(aside.c_str(), socket().c_str()), 0);
  ASSERT_TRUE(
      plugin().WaitForLine(absl::StrCat("notice: ", socket(), ": our socket file is there again")));
  ExpectRoundTrip(*NewClient());
  EXPECT_THAT(plugin().ErrLines(), testing::Contains(gone).Times(1));
}

// Started by root, it becomes a user who cannot look into this folder.
TEST_F(SocketsTest, ReplacedInAFolderThatIsClosed) {
  StartReady();
  const std::string other = dir_ / "other.sock";
  const UniqueFd theirs = Must(BindUnix(other));
  ASSERT_EQ(::rename(other.c_str(), socket().c_str()), 0);
  EXPECT_TRUE(plugin().WaitForLine(absl::StrCat("error: ", socket(), ": our socket file was re")));
}

TEST_F(SocketsTest, RemovedWithItsFolder) {
  const std::string folder = dir_ / "run";
  ASSERT_EQ(::mkdir(folder.c_str(), 0755), 0);
  flags_["--sock"] = absl::StrCat(folder, "/kms.sock");
  LaunchPlugin();
  ASSERT_TRUE(plugin().WaitForLine(" serves "));
  ASSERT_EQ(::unlink(flags_["--sock"].c_str()), 0);
  ASSERT_EQ(::rmdir(folder.c_str()), 0);
  EXPECT_TRUE(plugin().WaitForLine("our socket file was removed"));
}

TEST_F(SocketsTest, RemovedBehindSystemdsBack) {
  const std::string path = dir_ / "passed.sock";
  const UniqueFd passed = Must(BindUnix(path));
  ChildOptions options;
  options.listen_fd = passed.get();
  StartPlugin(std::move(options));
  ASSERT_EQ(::unlink(path.c_str()), 0);
  EXPECT_TRUE(plugin().WaitForLine(
      absl::StrCat("error: ", path,
                   ": our socket file was removed: nobody can connect any more; restart the socket "
                   "unit, this service with it")));
}

TEST_F(SocketsTest, LeftBehindIsReplaced) {
  Must(BindUnix(socket()));  // bound, and closed without unlink
  ASSERT_TRUE(IsSocket(socket()));
  StartReady();
  ExpectRoundTrip();
}

TEST_F(SocketsTest, LeftBehindByAKilledPluginIsReplaced) {
  StartReady();
  plugin().Signal(SIGKILL);
  ASSERT_EQ(plugin().Wait(), -SIGKILL);
  ASSERT_TRUE(IsSocket(socket()));
  StartReady();
  ExpectRoundTrip();
}

TEST_F(SocketsTest, InUseIsRefused) {
  const UniqueFd theirs = Must(BindUnix(socket()));
  const ino_t inode = At(socket())->st_ino;
  ExpectRefused(absl::StrCat("--sock ", socket(),
                             ": another process listens there; stop it, or choose another path"));
  ASSERT_TRUE(IsSocket(socket()));
  EXPECT_EQ(At(socket())->st_ino, inode);
  EXPECT_THAT(ConnectUnix(socket()), IsOk());
}

TEST_F(SocketsTest, OfARunningPluginIsRefused) {
  StartReady();
  const auto second = Must(ChildProcess::Start({.argv = Argv()}));
  EXPECT_EQ(second->Wait(), 1);
  EXPECT_THAT(second->Err(), HasSubstr("another process listens there"));
  ExpectRoundTrip(*NewClient());  // at the first one, by a new connection
}

TEST_F(SocketsTest, OfManyStartedAtOnceOneServes) {
  Must(BindUnix(socket()));  // left behind
  std::vector<std::unique_ptr<ChildProcess>> all;
  for (int i = 0; i < 6; ++i) all.push_back(Must(ChildProcess::Start({.argv = Argv()})));
  ASSERT_TRUE(WaitUntil([&] {
    return std::count_if(all.begin(), all.end(), [](auto& one) { return one->Running(); }) == 1;
  }));
  for (const auto& one : all) {
    if (one->Running()) {
      EXPECT_TRUE(one->WaitForLine(" serves "));
      continue;
    }
    EXPECT_EQ(one->Wait(), 1);
    EXPECT_EQ(one->Err(),
              absl::StrCat("error: --sock ", socket(),
                           ": another process listens there; stop it, or choose another path\n"));
  }
  ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_F(SocketsTest, AFileIsRefusedAndUntouched) {
  std::ofstream(socket()) << "precious";
  ExpectRefused(
      absl::StrCat("--sock ", socket(), ": is there already and is no socket; remove it"));
  std::ifstream file(socket());
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "precious");
}

TEST_F(SocketsTest, ADirectoryIsRefused) {
  ASSERT_EQ(::mkdir(socket().c_str(), 0755), 0);
  ExpectRefused(absl::StrCat("--sock ", socket(),
                             ": is a folder; name the socket in it, as in /run/kms.sock"));
  EXPECT_TRUE(S_ISDIR(At(socket())->st_mode));
}

TEST_F(SocketsTest, ASymbolicLinkIsRefusedAndUntouched) {
  Must(BindUnix(dir_ / "target"));
  ASSERT_EQ(::symlink((dir_ / "target").c_str(), socket().c_str()), 0);
  ExpectRefused(absl::StrCat("--sock ", socket(), ": is a symbolic link; name the socket itself"));
  EXPECT_TRUE(S_ISLNK(At(socket())->st_mode));
  EXPECT_TRUE(IsSocket(dir_ / "target"));
}

TEST_F(SocketsTest, AFolderThatIsNotThereIsRefused) {
  flags_["--sock"] = dir_ / "none/kms.sock";
  ExpectRefused(absl::StrCat("--sock ", dir_ / "none/kms.sock", ": there is no folder ",
                             dir_ / "none/", "; create it, or choose another path"));
}

TEST_F(SocketsTest, AsAUrl) {
  flags_["--sock"] = absl::StrCat("unix://", socket());
  StartReady();
  EXPECT_TRUE(IsSocket(socket()));
  ExpectRoundTrip();
}

TEST_F(SocketsTest, InTheAbstractNamespace) {
  const std::string name = absl::StrCat("@okms-test-", ::getpid(), "-", port());
  for (const std::string& form : {name, absl::StrCat("unix:///", name)}) {
    SCOPED_TRACE(form);
    flags_["--sock"] = form;
    StartPlugin();
    {
      KmsClient client(name);
      ASSERT_TRUE(WaitUntil([&] { return client.Status().ok(); }));
      ExpectRoundTrip(client);
    }
    ASSERT_EQ(StopPlugin(), 0);
  }
}

TEST_F(SocketsTest, TwoInTheAbstractNamespaceAreOneTooMany) {
  const std::string name = absl::StrCat("@okms-test-", ::getpid(), "-", port());
  flags_["--sock"] = name;
  StartPlugin();
  const auto second = Must(ChildProcess::Start({.argv = Argv()}));
  EXPECT_EQ(second->Wait(), 1);
  EXPECT_EQ(second->Err(),
            absl::StrCat("error: --sock ", name, ": bind: Address already in use\n"));
}

// Users who may not connect, and do so without pause, on threads of their own.
class Flood {
 public:
  explicit Flood(const std::string& abstract_name) {
    const UnixAddress address = UnixAddress::Of(abstract_name).value();
    for (int i = 0; i < 3; ++i) {
      strangers_.emplace_back([this, address](const std::stop_token& stop) {
        constexpr uid_t kStranger = 65534;
        if (::syscall(SYS_setresuid, kStranger, kStranger, kStranger) != 0) return;
        while (!stop.stop_requested()) {
          const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
          if (::connect(fd.get(), address.get(), address.size()) == 0) {
            ++connected_;
          }
        }
      });
    }
  }
  int connected() const { return connected_; }

 private:
  std::atomic<int> connected_ = 0;
  std::vector<std::jthread> strangers_;
};

TEST_F(SocketsTest, StrangersWithoutPauseKeepNobodyFromItNorFromItsEnd) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be a stranger";
  const std::string name = absl::StrCat("@okms-test-", ::getpid(), "-", port());
  flags_["--sock"] = name;
  StartPlugin();
  const Flood flood(name);
  ASSERT_TRUE(WaitUntil([&] { return flood.connected() > 1000; }));
  KmsClient client(name);
  ASSERT_TRUE(WaitUntil([&] { return client.Status().ok(); }));
  for (int i = 0; i < 5; ++i) ExpectRoundTrip(client);
  EXPECT_TRUE(plugin().WaitForLine("refused a connection of user 65534"));
  EXPECT_EQ(StopPlugin(), 0);
}

// The limits of open files of a process, as "SOFT HARD" (proc(5)).
std::string OpenFiles(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/limits"));
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string max, open, files, soft, hard;
    fields >> max >> open >> files >> soft >> hard;
    if (open == "open" && files == "files") return absl::StrCat(soft, " ", hard);
  }
  return "";
}

TEST_F(SocketsTest, RaisesTheLimitOfOpenFilesToWhatItNeeds) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can look at the plugin's limits";
  ChildOptions options;
  options.open_files = rlimit{200, 1000};
  StartPlugin(options);
  EXPECT_EQ(OpenFiles(plugin().pid()), "728 1000");
  EXPECT_THAT(plugin().Err(), testing::Not(HasSubstr("LimitNOFILE")));
}

TEST_F(SocketsTest, LeavesAHighLimitOfOpenFilesAsItIs) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can look at the plugin's limits";
  ChildOptions options;
  options.open_files = rlimit{800, 1000};
  StartPlugin(options);
  EXPECT_EQ(OpenFiles(plugin().pid()), "800 1000");
}

TEST_F(SocketsTest, SaysThatTooFewFilesMayBeOpen) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can look at the plugin's limits";
  ChildOptions options;
  options.open_files = rlimit{200, 300};
  StartPlugin(options);
  EXPECT_EQ(OpenFiles(plugin().pid()), "300 300");
  EXPECT_THAT(plugin().Err(), HasSubstr("warning: no more than 300 files may be open, and many "
                                        "connections need 728: raise RLIMIT_NOFILE "
                                        "(LimitNOFILE=728 in a unit)\n"));
  ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_F(SocketsTest, PassedBySystemdIsServed) {
  const std::string path = dir_ / "passed.sock";
  const UniqueFd passed = Must(BindUnix(path));
  ChildOptions options;
  options.listen_fd = passed.get();
  StartPlugin(std::move(options));
  EXPECT_THAT(plugin().Err(), HasSubstr("the socket passed by systemd"));
  EXPECT_FALSE(At(socket())) << "--sock was made too";
  {
    KmsClient client(path);
    ASSERT_TRUE(WaitUntil([&] { return client.Status().ok(); }));
    ExpectRoundTrip(client);
  }
  EXPECT_EQ(StopPlugin(), 0);
  EXPECT_TRUE(IsSocket(path)) << "it is systemd's to remove";
}

TEST_F(SocketsTest, PassedBySystemdOutlivesThePlugin) {
  const std::string path = dir_ / "passed.sock";
  const UniqueFd passed = Must(BindUnix(path));
  ChildOptions options;
  options.listen_fd = passed.get();
  StartPlugin(options);
  ASSERT_EQ(StopPlugin(), 0);
  // A call that comes while no plugin runs waits for the next one.
  KmsClient client(path, {.timeout = kPatience});
  absl::Status status = absl::UnknownError("not answered");
  std::thread caller([&] { status = client.Status().status(); });
  StartPlugin(options);
  caller.join();
  EXPECT_THAT(status, IsOk());
}

TEST_F(SocketsTest, PassedUnderAnotherNameIsRefused) {
  const UniqueFd passed = Must(BindUnix(dir_ / "passed.sock"));
  ChildOptions options;
  options.listen_fd = passed.get();
  options.listen_name = "metrics";
  ExpectRefused("socket activation: no socket is named \"kms\"; set FileDescriptorName=kms",
                std::move(options));
  EXPECT_FALSE(At(socket()));
}

TEST_F(SocketsTest, PassedOfAnotherKindIsRefused) {
  const UniqueFd passed = Must(BindUnix(dir_ / "passed.sock", SOCK_DGRAM));
  ChildOptions options;
  options.listen_fd = passed.get();
  ExpectRefused(
      "socket activation: the socket \"kms\" is no listening unix stream socket; use ListenStream=",
      std::move(options));
}

TEST_F(SocketsTest, PassedWithoutListeningIsRefused) {
  const UniqueFd passed = Must(BindUnix(dir_ / "passed.sock", SOCK_STREAM, /*listening=*/false));
  ChildOptions options;
  options.listen_fd = passed.get();
  ExpectRefused(
      "socket activation: the socket \"kms\" is no listening unix stream socket; use ListenStream=",
      std::move(options));
}

}  // namespace
}  // namespace okms::test
