// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/listen_socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "unit/service/child.h"
#include "unit/service/unix_client.h"

namespace okms {
namespace {

using test::Child;
using test::ConnectError;
using test::IsOk;
using test::StatusIs;
using test::UnixSocket;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;

class BindTest : public ::testing::Test {
 protected:
  absl::StatusOr<ListenSocket> Bind(const std::optional<SocketGroup>& group = {}) const {
    return ListenSocket::Bind(address_, group);
  }
  auto Refused(const std::string& why) const {
    return StatusIs(kFailedPrecondition, absl::StrCat("--sock ", address_.path, ": ", why));
  }
  // Nothing that is there, or lstat(2)'s.
  static std::optional<struct stat> Look(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return std::nullopt;
    return info;
  }

  test::TempDir directory_;
  const SocketAddress address_{.path = directory_ / "kms.sock", .abstract_name = {}};
};

TEST_F(BindTest, Listens) {
  const auto socket = Bind();
  ASSERT_THAT(socket, IsOk());
  EXPECT_EQ(socket->name(), address_.path);
  EXPECT_EQ(ConnectError(address_), 0);
}

TEST_F(BindTest, SocketDoesNotBlockAndIsNotInherited) {
  const auto socket = Bind();
  ASSERT_THAT(socket, IsOk());
  EXPECT_NE(::fcntl(socket->fd(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(socket->fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(BindTest, ModeIsThatOfOwnerAndGroupWhateverTheUmask) {
  for (const mode_t mask : {0000u, 0022u, 0077u, 0777u}) {
    const mode_t before = ::umask(mask);
    const auto socket = Bind();
    EXPECT_EQ(::umask(before), mask) << "the umask is put back";
    ASSERT_THAT(socket, IsOk());
    EXPECT_EQ(Look(address_.path)->st_mode & 07777, 0660u);
  }
}

TEST_F(BindTest, GivesTheFileToTheGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may give a file to any group";
  const auto socket = Bind(SocketGroup{4242, "etcd"});
  ASSERT_THAT(socket, IsOk());
  EXPECT_EQ(Look(address_.path)->st_gid, 4242u);
  EXPECT_EQ(Look(address_.path)->st_uid, ::geteuid());
}

TEST_F(BindTest, GroupThatCannotBeGivenLeavesNothingBehind) {
  const std::string said = Child([&](const Child::Say& say) {
                             if (::geteuid() == 0) {
                               // Of somebody who may write here, and give files to his own groups
                               // only.
                               if (::chmod(directory_.path().c_str(), 0777) != 0 ||
                                   ::setgid(65534) != 0 || ::setuid(65534) != 0) {
                                 say("cannot become another user");
                                 return;
                               }
                             }
                             say(Describe(Bind(SocketGroup{4242, "etcd"}).status()));
                           }).HearAll();
  // The second: in a user namespace that does not have this group, as a build sandbox of Nix's is.
  EXPECT_THAT(said,
              AnyOf("FAILED_PRECONDITION: --sock-group etcd: only root, or one of its members, can "
                    "give it the socket: Operation not permitted",
                    "FAILED_PRECONDITION: --sock-group etcd: only root, or one of its members, can "
                    "give it the socket: Invalid argument"));
  EXPECT_FALSE(Look(address_.path).has_value());
}

TEST_F(BindTest, DeadSocketGivesWay) {
  {
    const UnixSocket dead(address_);
    ASSERT_EQ(::bind(dead.fd.get(), dead.raw(), dead.size), 0);
    ASSERT_EQ(::listen(dead.fd.get(), 1), 0);
  }
  ASSERT_TRUE(Look(address_.path).has_value());
  EXPECT_EQ(ConnectError(address_), ECONNREFUSED);
  const auto socket = Bind();
  ASSERT_THAT(socket, IsOk());
  EXPECT_EQ(ConnectError(address_), 0);
}

TEST_F(BindTest, LiveSocketIsRefusedAndUntouched) {
  const auto live = Bind();
  ASSERT_THAT(live, IsOk());
  const auto before = Look(address_.path);
  EXPECT_THAT(Bind(), Refused("another process listens there; stop it, or choose another path"));
  EXPECT_EQ(Look(address_.path)->st_ino, before->st_ino);
  EXPECT_EQ(ConnectError(address_), 0);
}

TEST_F(BindTest, LiveSocketWithAFullQueueIsRefusedToo) {
  const UnixSocket live(address_);
  ASSERT_EQ(::bind(live.fd.get(), live.raw(), live.size), 0);
  ASSERT_EQ(::listen(live.fd.get(), 0), 0);
  std::vector<UniqueFd> queue;
  while (true) {  // until one more would have to wait
    UnixSocket client(address_);
    ASSERT_EQ(::fcntl(client.fd.get(), F_SETFL, O_NONBLOCK), 0);
    if (::connect(client.fd.get(), client.raw(), client.size) != 0) break;
    queue.push_back(std::move(client.fd));
  }
  EXPECT_THAT(Bind(), Refused("another process listens there; stop it, or choose another path"));
}

TEST_F(BindTest, RegularFileIsRefusedAndUntouched) {
  std::ofstream(address_.path) << "precious";
  EXPECT_THAT(Bind(), Refused("is there already and is no socket; remove it"));
  std::string content;
  std::ifstream(address_.path) >> content;
  EXPECT_EQ(content, "precious");
}

TEST_F(BindTest, DirectoryIsRefused) {
  ASSERT_EQ(::mkdir(address_.path.c_str(), 0700), 0);
  EXPECT_THAT(Bind(), Refused("is a folder; name the socket in it, as in /run/kms.sock"));
  EXPECT_TRUE(S_ISDIR(Look(address_.path)->st_mode));
}

TEST_F(BindTest, SymbolicLinkIsRefusedAndUntouched) {
  // Also one that leads to a dead socket, which would give way by its own name.
  const SocketAddress target{.path = directory_ / "target.sock", .abstract_name = {}};
  {
    const UnixSocket dead(target);
    ASSERT_EQ(::bind(dead.fd.get(), dead.raw(), dead.size), 0);
  }
  for (const std::string& where : {target.path, directory_ / "nowhere"}) {
    ASSERT_EQ(::symlink(where.c_str(), address_.path.c_str()), 0);
    EXPECT_THAT(Bind(), Refused("is a symbolic link; name the socket itself"));
    EXPECT_TRUE(S_ISLNK(Look(address_.path)->st_mode));
    EXPECT_TRUE(Look(target.path).has_value());
    ASSERT_EQ(::unlink(address_.path.c_str()), 0);
  }
}

TEST_F(BindTest, SocketOfAnotherTypeIsRefusedAndUntouched) {
  const UnixSocket datagram(address_, SOCK_DGRAM);
  ASSERT_EQ(::bind(datagram.fd.get(), datagram.raw(), datagram.size), 0);
  EXPECT_THAT(Bind(), Refused("cannot tell whether the socket there is in use: Protocol wrong type "
                              "for socket"));
  EXPECT_TRUE(Look(address_.path).has_value());
}

TEST_F(BindTest, MissingDirectoryIsNamed) {
  EXPECT_THAT(
      ListenSocket::Bind({.path = directory_ / "missing/kms.sock", .abstract_name = {}}, {}),
      StatusIs(kFailedPrecondition,
               absl::StrCat("--sock ", directory_.path(), "/missing/kms.sock: there is no folder ",
                            directory_.path(), "/missing/; create it, or choose another path")));
}

TEST_F(BindTest, PathThroughAFileIsNamed) {
  std::ofstream(directory_ / "file") << "x";
  EXPECT_THAT(
      ListenSocket::Bind({.path = directory_ / "file/kms.sock", .abstract_name = {}}, {}),
      StatusIs(kFailedPrecondition,
               absl::StrCat("--sock ", directory_.path(), "/file/kms.sock: ", directory_.path(),
                            "/file/ is no folder; choose another path")));
}

TEST_F(BindTest, FolderOfOthersIsNamedWithWhoMayNot) {
  const std::string said =
      Child([&](const Child::Say& say) {
        if (::geteuid() == 0 && (::chmod(directory_.path().c_str(), 0755) != 0 ||
                                 ::setgid(65534) != 0 || ::setuid(65534) != 0)) {
          say("cannot become another user");
          return;
        }
        if (::geteuid() != 65534) (void)::chmod(directory_.path().c_str(), 0555);
        say(Describe(Bind().status()));
        say(Describe(ListenSocket::Check(address_, {}).status()));
      }).HearAll();
  const std::string refused = absl::StrCat(" may not create files in ", directory_.path(),
                                           "/; start it as root, or choose another path");
  EXPECT_THAT(said, ::testing::AllOf(HasSubstr(refused), HasSubstr("user ")));
  EXPECT_NE(said.find(refused), said.rfind(refused)) << said;
}

// ---- What --check-config asks

TEST_F(BindTest, CheckSaysAsBindWouldAndDoesNothing) {
  EXPECT_EQ(*ListenSocket::Check(address_, {}), "free");
  EXPECT_FALSE(Look(address_.path).has_value());
  EXPECT_EQ(*ListenSocket::Check({.path = {}, .abstract_name = "okms-check"}, {}), "free");
  {
    const auto live = Bind();
    ASSERT_THAT(live, IsOk());
    EXPECT_EQ(*ListenSocket::Check(address_, {}), "in use");
  }
  const auto dead = Look(address_.path);
  ASSERT_TRUE(dead.has_value());
  EXPECT_EQ(*ListenSocket::Check(address_, {}), "free");
  EXPECT_EQ(Look(address_.path)->st_ino, dead->st_ino);
}

TEST_F(BindTest, CheckRefusesWhatBindRefuses) {
  for (const std::string& path : {directory_ / "none/kms.sock", directory_.path()}) {
    const SocketAddress address{.path = path, .abstract_name = {}};
    const absl::Status bound = ListenSocket::Bind(address, {}).status();
    EXPECT_FALSE(bound.ok());
    EXPECT_EQ(ListenSocket::Check(address, {}).status(), bound);
  }
}

TEST_F(BindTest, LongestPathThatFits) {
  // A path of 107 bytes, and none longer passes ParseSocketAddress.
  std::string path = directory_.path() + "/";
  path += std::string(107 - path.size(), 's');
  const auto address = ParseSocketAddress(path);
  ASSERT_THAT(address, IsOk());
  const auto socket = ListenSocket::Bind(*address, {});
  ASSERT_THAT(socket, IsOk());
  EXPECT_EQ(ConnectError(*address), 0);
}

TEST_F(BindTest, FileStaysWhenTheSocketGoesAndIsReplacedByTheNext) {
  { ASSERT_THAT(Bind(), IsOk()); }
  ASSERT_TRUE(Look(address_.path).has_value());
  EXPECT_EQ(ConnectError(address_), ECONNREFUSED);
  const auto socket = Bind();
  ASSERT_THAT(socket, IsOk());
  EXPECT_EQ(ConnectError(address_), 0);
}

// Each of them finds the dead socket. None may take the winner's for it.
TEST_F(BindTest, OfManyAtOnceOneGetsTheDeadSocketsPlace) {
  for (int round = 0; round < 100; ++round) {
    { ASSERT_THAT(Bind(), IsOk()); }  // leaves its file
    std::atomic<bool> go = false;
    std::vector<std::optional<absl::StatusOr<ListenSocket>>> sockets(8);
    std::vector<std::thread> threads;
    for (auto& socket : sockets) {
      threads.emplace_back([&] {
        while (!go) {
        }
        socket.emplace(Bind());
      });
    }
    go = true;
    for (std::thread& thread : threads) thread.join();
    int bound = 0;
    for (const auto& result : sockets) {
      const absl::StatusOr<ListenSocket>& socket = *result;
      if (!socket.ok()) {
        EXPECT_THAT(socket,
                    Refused("another process listens there; stop it, or choose another path"));
        continue;
      }
      ++bound;
      // The file is that one's.
      EXPECT_EQ(ConnectError(address_), 0);
      EXPECT_TRUE(UniqueFd(::accept(socket->fd(), nullptr, nullptr)));
    }
    ASSERT_EQ(bound, 1) << "round " << round;
  }
}

TEST_F(BindTest, FolderThatSomebodyKeepsLockedIsNamed) {
  const UniqueFd folder(::open(directory_.path().c_str(), O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(::flock(folder.get(), LOCK_EX), 0);
  EXPECT_THAT(Bind(), Refused(absl::StrCat("another process keeps a lock on ", directory_.path(),
                                           "/: Resource temporarily unavailable")));
}

TEST_F(BindTest, MovedSocketGoesOnListening) {
  auto socket = Bind();
  ASSERT_THAT(socket, IsOk());
  const ListenSocket owner = *std::move(socket);
  socket = absl::UnknownError("moved from");
  EXPECT_EQ(ConnectError(address_), 0);
}

TEST_F(BindTest, AbstractName) {
  const SocketAddress address{.path = {},
                              .abstract_name = absl::StrCat("okms-unit-test-", ::getpid())};
  {
    const auto socket = ListenSocket::Bind(address, {});
    ASSERT_THAT(socket, IsOk());
    EXPECT_EQ(socket->name(), absl::StrCat("@", address.abstract_name));
    const SocketAddress longer{.path = {}, .abstract_name = address.abstract_name + "x"};
    EXPECT_EQ(ConnectError(longer), ECONNREFUSED);
    EXPECT_THAT(ListenSocket::Bind(address, {}),
                StatusIs(kFailedPrecondition, absl::StrCat("--sock @", address.abstract_name,
                                                           ": bind: Address already in use")));
  }
  EXPECT_EQ(ConnectError(address), ECONNREFUSED);
}

// The name ends where ours says, without a NUL: as other programs write it.
TEST_F(BindTest, AbstractNameIsTheOneThatClientsUse) {
  const SocketAddress address{.path = {},
                              .abstract_name = absl::StrCat("okms-unit-test-", ::getpid())};
  const auto socket = ListenSocket::Bind(address, {});
  ASSERT_THAT(socket, IsOk());
  EXPECT_EQ(ConnectError(address), 0);
}

// ---- TCP

TEST(BindTcpTest, ListensOnThatAddressAlone) {
  const auto socket = ListenSocket::BindTcp(*ParseAddress({"127.0.0.2", 0}), "--flag value");
  ASSERT_THAT(socket, IsOk());
  EXPECT_EQ(socket->name(), "--flag value");
  EXPECT_NE(::fcntl(socket->fd(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(socket->fd(), F_GETFD) & FD_CLOEXEC, 0);
  const auto address = socket->tcp_address();
  ASSERT_TRUE(address);
  EXPECT_EQ(address->ToString(), "127.0.0.2");
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(
      ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address->storage), address->size),
      0);
  EXPECT_THAT(ListenSocket::BindTcp(*address, "--flag value"),
              StatusIs(kFailedPrecondition, "--flag value: Address already in use"));
}

TEST_F(BindTest, HasNoIpAddress) { EXPECT_FALSE(Bind()->tcp_address()); }

// ---- Socket activation

struct Passed {
  int fd;
  const char* name;
};

// What FromSystemd makes of these descriptors, passed from 3 on as systemd does.
std::string FromSystemd(const std::vector<Passed>& sockets, bool with_names = true) {
  return Child([&](const Child::Say& say) {
           std::vector<int> aside;
           for (const Passed& passed : sockets) {
             aside.push_back(::fcntl(passed.fd, F_DUPFD, 50));
           }
           std::string names;
           for (std::size_t i = 0; i < sockets.size(); ++i) {
             ::dup2(aside[i], static_cast<int>(3 + i));
             ::close(aside[i]);
             absl::StrAppend(&names, i == 0 ? "" : ":", sockets[i].name);
           }
           ::setenv("LISTEN_FDS", absl::StrCat(sockets.size()).c_str(), 1);
           ::setenv("LISTEN_PID", absl::StrCat(::getpid()).c_str(), 1);
           if (with_names) ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
           const auto taken = ListenSocket::FromSystemd();
           if (!taken.ok()) {
             say(Describe(taken.status()));
             return;
           }
           std::vector<int> known;
           for (const auto* socket : {&taken->kms, &taken->status}) {
             if (!*socket) continue;
             const int fd = known.emplace_back((*socket)->fd());
             say(absl::StrCat(socket == &taken->kms ? "" : "; status: ", (*socket)->name(), ", fd ",
                              fd, (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 ? ", non-blocking" : "",
                              (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 ? ", cloexec" : "",
                              std::getenv("LISTEN_FDS") == nullptr ? "" : ", LISTEN_FDS is set"));
           }
           if (known.empty()) say("none");
           if (!taken->status_refused.ok()) say("; status: " + Describe(taken->status_refused));
           for (std::size_t i = 0; i < sockets.size(); ++i) {
             const int other = static_cast<int>(3 + i);
             if (std::count(known.begin(), known.end(), other) == 0 &&
                 ::fcntl(other, F_GETFD) >= 0) {
               say(absl::StrCat(", ", other, " open"));
             }
           }
         })
      .HearAll();
}

class FromSystemdTest : public ::testing::Test {
 protected:
  // A unix socket; `listening` or only bound.
  int NewSocket(const std::string& name, bool listening = true, int type = SOCK_STREAM) {
    UnixSocket socket({.path = directory_ / name, .abstract_name = {}}, type);
    EXPECT_EQ(::bind(socket.fd.get(), socket.raw(), socket.size), 0);
    if (listening) {
      EXPECT_EQ(::listen(socket.fd.get(), 1), 0);
    }
    sockets_.push_back(std::move(socket.fd));
    return sockets_.back().get();
  }
  test::TempDir directory_;
  std::vector<UniqueFd> sockets_;
};

constexpr char kNoListener[] =
    "FAILED_PRECONDITION: socket activation: the socket \"kms\" is no listening unix stream "
    "socket; "
    "use ListenStream=";

TEST_F(FromSystemdTest, NothingPassedIsNoError) {
  const auto sockets = ListenSocket::FromSystemd();
  ASSERT_THAT(sockets, IsOk());
  EXPECT_FALSE(sockets->kms || sockets->status || !sockets->status_refused.ok());
}

TEST_F(FromSystemdTest, SocketNamedKmsIsTaken) {
  EXPECT_EQ(FromSystemd({{NewSocket("a"), "kms"}}),
            "the socket passed by systemd, fd 3, non-blocking, cloexec");
}

TEST_F(FromSystemdTest, OthersAreClosed) {
  const int other = NewSocket("other");
  EXPECT_EQ(FromSystemd({{other, "metrics"}, {NewSocket("a"), "kms"}, {other, "more"}}),
            "the socket passed by systemd, fd 4, non-blocking, cloexec");
}

TEST_F(FromSystemdTest, SocketNamedStatusIsForThePages) {
  EXPECT_EQ(
      FromSystemd({{NewSocket("a"), "status"}, {NewSocket("b"), "kms"}}),
      "the socket passed by systemd, fd 4, non-blocking, cloexec; status: the socket passed by "
      "systemd, fd 3, non-blocking, cloexec");
  const UniqueFd tcp(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(::listen(tcp.get(), 1), 0);
  EXPECT_EQ(FromSystemd({{tcp.get(), "status"}}),
            "; status: the socket passed by systemd, fd 3, non-blocking, cloexec");
}

TEST_F(FromSystemdTest, ABadSocketForThePagesIsNoneAndSaysWhy) {
  EXPECT_EQ(
      FromSystemd({{NewSocket("a", /*listening=*/false), "status"}, {NewSocket("b"), "kms"}}),
      "the socket passed by systemd, fd 4, non-blocking, cloexec; status: FAILED_PRECONDITION: "
      "socket activation: the socket \"status\" is no listening stream socket; use "
      "ListenStream=");
  EXPECT_EQ(FromSystemd({{NewSocket("c"), "status"}, {NewSocket("d"), "status"}}),
            "none; status: FAILED_PRECONDITION: socket activation: more than one socket is named "
            "\"status\"; pass one");
}

TEST_F(FromSystemdTest, OtherNameIsRefused) {
  const std::string refusal =
      "FAILED_PRECONDITION: socket activation: no socket is named \"kms\"; set "
      "FileDescriptorName=kms";
  EXPECT_EQ(FromSystemd({{NewSocket("a"), "other.socket"}}), refusal);
  EXPECT_EQ(FromSystemd({{NewSocket("b"), "KMS"}}), refusal);
  EXPECT_EQ(FromSystemd({{NewSocket("c"), "kms"}}, /*with_names=*/false), refusal);
}

TEST_F(FromSystemdTest, TwoOfThatNameAreRefused) {
  EXPECT_EQ(FromSystemd({{NewSocket("a"), "kms"}, {NewSocket("b"), "kms"}}),
            "FAILED_PRECONDITION: socket activation: more than one socket is named \"kms\"; pass "
            "one");
}

TEST_F(FromSystemdTest, SocketThatDoesNotListenIsRefused) {
  EXPECT_EQ(FromSystemd({{NewSocket("a", /*listening=*/false), "kms"}}), kNoListener);
}

TEST_F(FromSystemdTest, SocketOfAnotherTypeIsRefused) {
  EXPECT_EQ(FromSystemd({{NewSocket("a", /*listening=*/false, SOCK_DGRAM), "kms"}}), kNoListener);
  EXPECT_EQ(FromSystemd({{NewSocket("b", /*listening=*/true, SOCK_SEQPACKET), "kms"}}),
            kNoListener);
}

TEST_F(FromSystemdTest, TcpSocketIsRefused) {
  const UniqueFd tcp(::socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(::listen(tcp.get(), 1), 0);
  EXPECT_EQ(FromSystemd({{tcp.get(), "kms"}}), kNoListener);
}

TEST_F(FromSystemdTest, FileIsRefused) {
  const UniqueFd file(::open("/dev/null", O_RDONLY));
  EXPECT_EQ(FromSystemd({{file.get(), "kms"}}), kNoListener);
}

TEST_F(FromSystemdTest, GarbageInTheVariableIsAnError) {
  const std::string said = Child([](const Child::Say& say) {
                             ::setenv("LISTEN_PID", absl::StrCat(::getpid()).c_str(), 1);
                             ::setenv("LISTEN_FDS", "many", 1);
                             say(Describe(ListenSocket::FromSystemd().status()));
                           }).HearAll();
  EXPECT_EQ(said, "FAILED_PRECONDITION: LISTEN_FDS: Invalid argument");
}

TEST_F(FromSystemdTest, VariablesOfAnotherProcessAreNotOurs) {
  const std::string said = Child([](const Child::Say& say) {
                             ::setenv("LISTEN_PID", "1", 1);
                             ::setenv("LISTEN_FDS", "1", 1);
                             const auto sockets = ListenSocket::FromSystemd();
                             say(sockets.ok() && !sockets->kms ? "none" : "something");
                           }).HearAll();
  EXPECT_EQ(said, "none");
}

}  // namespace
}  // namespace okms
