// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/listener.h"

#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "service/listen_socket.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "unit/service/child.h"
#include "unit/service/unix_client.h"

namespace okms {
namespace {

using test::Child;
using test::ConnectTo;
using test::IsOk;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr uid_t kStranger = 65534;

// Who connects; by default, we ourselves.
struct Peer {
  uid_t uid = ::geteuid();
  gid_t gid = ::getegid();
  std::vector<gid_t> groups = {};

  bool IsUs() const { return uid == ::geteuid() && gid == ::getegid() && groups.empty(); }
  bool Become() const {
    return IsUs() || (::setgroups(groups.size(), groups.data()) == 0 && ::setgid(gid) == 0 &&
                      ::setuid(uid) == 0);
  }
};

class ListenerTest : public ::testing::Test {
 protected:
  ListenerTest() { EXPECT_THAT(socket_, IsOk()); }

  Listener NewListener(PeerPolicy policy) {
    return Listener(socket_->fd(), std::move(policy), logger_, [this](UniqueFd connection) {
      if (full_) return false;
      served_.push_back(std::move(connection));
      return true;
    });
  }
  // What a peer of that kind gets: "served", or "closed". Leaves its process id in `last_pid_`.
  std::string Connect(Listener& listener, const Peer& peer) {
    Child child([&](const Child::Say& say) {
      if (!peer.Become()) {
        say("cannot become that user");
        return;
      }
      const UniqueFd connection = ConnectTo(address_);
      say(connection ? "connected" : "cannot connect");
      char byte = 0;
      say(::read(connection.get(), &byte, 1) == 1 ? "served" : "closed");
    });
    last_pid_ = child.pid();
    EXPECT_EQ(child.Hear(), "connected");
    EXPECT_THAT(listener.Accept(), IsOk());
    for (const UniqueFd& connection : served_) {
      EXPECT_EQ(::send(connection.get(), "x", 1, MSG_NOSIGNAL), 1);
    }
    served_.clear();
    return child.HearAll();
  }
  std::string Refusal(uid_t uid) const {
    return absl::StrCat("refused a connection of user ", uid, ", process ", last_pid_,
                        ": only root, our own user and those of --allow-uid and --allow-gid may "
                        "connect");
  }

  // An abstract name has no file mode: who may connect is for the listener alone to say.
  const SocketAddress address_{.path = {},
                               .abstract_name = absl::StrCat("okms-listener-test-", ::getpid())};
  absl::StatusOr<ListenSocket> socket_ = ListenSocket::Bind(address_, {});
  std::vector<std::string> log_;
  const Logger logger_{false, [this](const Event& event) {
                         EXPECT_LE(event.severity, Severity::kWarning);
                         log_.push_back(event.text);
                       }};
  std::vector<UniqueFd> served_;
  bool full_ = false;
  pid_t last_pid_ = 0;
};

TEST_F(ListenerTest, DefaultsAreRootAndOurselves) {
  PeerPolicy policy;
  policy.AllowDefaults();
  EXPECT_THAT(policy.uids, ElementsAre(0, ::geteuid()));
  EXPECT_THAT(policy.gids, IsEmpty());
}

TEST_F(ListenerTest, AUserThatIsNotOursAloneIsNoDefault) {
  PeerPolicy policy;
  policy.AllowDefaults(/*own_user=*/false);
  EXPECT_THAT(policy.uids, ElementsAre(0));
}

TEST_F(ListenerTest, OurOwnUserIsServed) {
  PeerPolicy policy;
  policy.AllowDefaults();
  Listener listener = NewListener(policy);
  EXPECT_EQ(Connect(listener, {}), "served");
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(ListenerTest, NobodyIsServedByAnEmptyPolicy) {
  Listener listener = NewListener({});
  EXPECT_EQ(Connect(listener, {}), "closed");
  EXPECT_THAT(log_, ElementsAre(Refusal(::geteuid())));
  EXPECT_EQ(listener.refused().strangers, 1);
  EXPECT_EQ(listener.refused().too_many, 0);
}

TEST_F(ListenerTest, OurGroupIsServedWhenItIsAllowed) {
  Listener listener = NewListener({.uids = {}, .gids = {::getegid()}});
  EXPECT_EQ(Connect(listener, {}), "served");
}

TEST_F(ListenerTest, AllThatWaitAreAccepted) {
  PeerPolicy policy;
  policy.AllowDefaults();
  Listener listener = NewListener(policy);
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(ConnectTo(address_));
  EXPECT_THAT(listener.Accept(), IsOk());
  EXPECT_THAT(served_, SizeIs(5));
  EXPECT_THAT(listener.Accept(), IsOk());
  EXPECT_THAT(served_, SizeIs(5));
}

// Somebody who connects without pause must not keep the event loop from all else.
TEST_F(ListenerTest, TurnIsBounded) {
  Listener listener = NewListener({});
  std::vector<UniqueFd> clients;
  for (int i = 0; i < Listener::kInOneTurn + 1; ++i) clients.push_back(ConnectTo(address_));
  const auto closed = [&] {
    return std::count_if(clients.begin(), clients.end(), [](const UniqueFd& client) {
      char byte = 0;
      return ::recv(client.get(), &byte, 1, MSG_DONTWAIT) == 0;
    });
  };
  EXPECT_THAT(listener.Accept(), IsOk());
  EXPECT_EQ(closed(), Listener::kInOneTurn);
  EXPECT_THAT(listener.Accept(), IsOk());
  EXPECT_EQ(closed(), Listener::kInOneTurn + 1);
}

TEST_F(ListenerTest, OneTooManyIsRefusedAndSaid) {
  PeerPolicy policy;
  policy.AllowDefaults();
  Listener listener = NewListener(policy);
  full_ = true;
  EXPECT_EQ(Connect(listener, {}), "closed");
  EXPECT_THAT(log_, ElementsAre(absl::StrCat(
                        "refused a connection of user ", ::geteuid(), ", process ", last_pid_,
                        ": that user, or all but root together, have as many as they may have")));
  EXPECT_EQ(listener.refused().strangers, 0);
  EXPECT_EQ(listener.refused().too_many, 1);
}

TEST_F(ListenerTest, ConnectionsDoNotBlockAndAreNotInherited) {
  PeerPolicy policy;
  policy.AllowDefaults();
  Listener listener = NewListener(policy);
  const UniqueFd client = ConnectTo(address_);
  EXPECT_THAT(listener.Accept(), IsOk());
  ASSERT_THAT(served_, SizeIs(1));
  EXPECT_NE(::fcntl(served_[0].get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(served_[0].get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(ListenerTest, PeerThatIsGoneAgainHarmsNobody) {
  PeerPolicy policy;
  policy.AllowDefaults();
  Listener listener = NewListener(policy);
  ConnectTo(address_).reset();
  const UniqueFd client = ConnectTo(address_);
  EXPECT_THAT(listener.Accept(), IsOk());
  EXPECT_THAT(served_, SizeIs(2));
}

TEST_F(ListenerTest, RefusalsAreNotReportedOneByOne) {
  Listener listener = NewListener({});
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(ConnectTo(address_));
  EXPECT_THAT(listener.Accept(), IsOk());
  EXPECT_THAT(served_, IsEmpty());
  EXPECT_THAT(log_, SizeIs(1));
}

TEST_F(ListenerTest, WithoutADescriptorLeftItSaysSo) {
  const std::string said =
      Child([&](const Child::Say& say) {
        PeerPolicy policy;
        policy.AllowDefaults();
        Listener listener = NewListener(policy);
        const UniqueFd client = ConnectTo(address_);
        const UniqueFd next(::dup(client.get()));
        const rlimit limit{static_cast<rlim_t>(next.get()), static_cast<rlim_t>(next.get())};
        if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) say("cannot set the limit; ");
        say(Describe(listener.Accept()));
        say(absl::StrCat("; ", served_.size(), " served; "));
        for (int again = 0; again < 3; ++again) say(listener.Accept().ok() ? "ok" : "");
        say(absl::StrCat(log_.size(), " line: ", log_.at(0)));
      }).HearAll();
  const std::string error = "RESOURCE_EXHAUSTED: accept: Too many open files";
  EXPECT_EQ(said, absl::StrCat(error, "; 0 served; 1 line: ", error));
}

// The event loop's thread must come back from any error of accept(2).
TEST_F(ListenerTest, SocketThatDoesNotListenIsAnErrorRatherThanAnEndlessLoop) {
  Child child([&](const Child::Say& say) {
    ::alarm(2);  // ends an endless loop
    const UniqueFd deaf(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    Listener listener(deaf.get(), {}, logger_, [](UniqueFd) { return true; });
    say(Describe(listener.Accept()));
  });
  EXPECT_THAT(child.HearAll(), ::testing::EndsWith(": accept: Invalid argument"));
}

// ---- Other users, which only root can be

struct Case {
  const char* name;
  Peer peer;
  PeerPolicy policy;
  bool served;
};

std::vector<gid_t> ManyGroups(gid_t last) {
  std::vector<gid_t> groups;
  for (gid_t group = 1000; group < 1100; ++group) groups.push_back(group);
  groups.push_back(last);
  return groups;
}

class OtherUserTest : public ListenerTest, public ::testing::WithParamInterface<Case> {};
INSTANTIATE_TEST_SUITE_P(
    , OtherUserTest,
    ::testing::Values(
        Case{"Stranger", {kStranger, kStranger}, {}, false},
        Case{"StrangerWithOtherUsersAllowed", {kStranger, kStranger}, {{1000}, {1000}}, false},
        Case{"AllowedUser", {kStranger, kStranger}, {{kStranger}, {}}, true},
        Case{"AllowedPrimaryGroup", {kStranger, 4242}, {{}, {7, 4242}}, true},
        Case{"AllowedSupplementaryGroup", {kStranger, kStranger, {1000, 4242}}, {{}, {4242}}, true},
        Case{"AllowedLastOfManyGroups",
             {kStranger, kStranger, ManyGroups(4242)},
             {{}, {4242}},
             true},
        Case{"OtherGroups", {kStranger, kStranger, {1000, 1001}}, {{}, {4242}}, false},
        Case{"GroupAllowedButNotAsUser", {kStranger, kStranger}, {{4242}, {}}, false},
        Case{"UserNumberIsNoGroupNumber", {4242, kStranger}, {{}, {4242}}, false}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(OtherUserTest, IsServedOnlyIfAllowed) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can connect as another user";
  PeerPolicy policy = GetParam().policy;
  policy.AllowDefaults();
  Listener listener = NewListener(policy);
  if (GetParam().served) {
    EXPECT_EQ(Connect(listener, GetParam().peer), "served");
    EXPECT_THAT(log_, IsEmpty());
  } else {
    EXPECT_EQ(Connect(listener, GetParam().peer), "closed");
    EXPECT_THAT(log_, ElementsAre(Refusal(GetParam().peer.uid)));
  }
}

// What systemd's PrivateUsers= makes: root, the service's user and group, and nobody else.
TEST(PeerPolicyTest, ForgetsIdsThatNobodyCanHave) {
  const test::TempDir proc;
  std::ofstream(proc / "uid_map")
      << "         0          0          1\n       998        998          1\n";
  std::ofstream(proc / "gid_map") << "0 0 1\n900 100900 100\n";
  PeerPolicy policy{{0, 998, 997, 65534}, {0, 899, 900, 999, 1000}};
  EXPECT_THAT(policy.ForgetUnknown(proc.path()),
              ElementsAre(StartsWith("--allow-uid 997: has no effect in this user namespace"),
                          StartsWith("--allow-uid 65534: "), StartsWith("--allow-gid 899: "),
                          StartsWith("--allow-gid 1000: ")));
  EXPECT_THAT(policy.uids, ElementsAre(0, 998));
  EXPECT_THAT(policy.gids, ElementsAre(0, 900, 999));
}

TEST(PeerPolicyTest, KeepsAllWhereAllIdsAreKnown) {
  const test::TempDir proc;
  for (const char* const map : {"uid_map", "gid_map"}) {
    std::ofstream(proc / map) << "         0          0 4294967295\n";
  }
  PeerPolicy policy{{0, 1000, 4294967294}, {0, 1000, 4294967294}};
  EXPECT_THAT(policy.ForgetUnknown(proc.path()), IsEmpty());
  EXPECT_THAT(policy.ForgetUnknown(proc / "nonexistent"), IsEmpty());
  EXPECT_THAT(policy.uids, SizeIs(3));
}

}  // namespace
}  // namespace okms
