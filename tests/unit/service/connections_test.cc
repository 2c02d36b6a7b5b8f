// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/connections.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"

namespace okms {
namespace {

using namespace std::chrono_literals;

constexpr char kGoaway[] = "0000080700000000007fffffff00000000";

struct Pair {
  UniqueFd ours;
  UniqueFd peer;
};
Pair NewPair() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// What has come so far, in hexadecimal.
std::string Heard(const UniqueFd& fd) {
  char buffer[100];
  const ssize_t size = ::recv(fd.get(), buffer, sizeof buffer, 0);
  return size > 0 ? absl::BytesToHexString({buffer, static_cast<std::size_t>(size)}) : "";
}

class ConnectionsTest : public ::testing::Test {
 protected:
  // A young connection is not told; there is no other way to have an older one than to wait.
  void AnnounceToAll() {
    std::this_thread::sleep_for(110ms);
    connections_.Announce();
  }
  Connections connections_;
};

TEST_F(ConnectionsTest, EndIsAnnouncedOnce) {
  const Pair pair = NewPair();
  connections_.Add(pair.ours.get());
  AnnounceToAll();
  EXPECT_EQ(Heard(pair.peer), kGoaway);
  connections_.Announce();
  EXPECT_EQ(Heard(pair.peer), "");
}

TEST_F(ConnectionsTest, YoungConnectionIsToldLater) {
  const Pair pair = NewPair();
  connections_.Add(pair.ours.get());
  connections_.Announce();
  EXPECT_EQ(Heard(pair.peer), "");
  AnnounceToAll();
  EXPECT_EQ(Heard(pair.peer), kGoaway);
}

TEST_F(ConnectionsTest, PeerThatIsGoneOrDeafHarmsNobody) {
  Pair gone = NewPair();
  connections_.Add(gone.ours.get());
  gone.peer.reset();
  const Pair deaf = NewPair();
  connections_.Add(deaf.ours.get());
  const std::string much(100'000, 'x');
  while (::send(deaf.ours.get(), much.data(), much.size(), MSG_DONTWAIT) > 0) {
  }
  const Pair other = NewPair();
  connections_.Add(other.ours.get());
  AnnounceToAll();
  EXPECT_EQ(Heard(other.peer), kGoaway);
}

TEST_F(ConnectionsTest, IsOpenUntilEitherSideHasClosed) {
  EXPECT_FALSE(connections_.AnyOpen());
  Pair first = NewPair();
  Pair second = NewPair();
  connections_.Add(first.ours.get());
  connections_.Add(second.ours.get());
  EXPECT_TRUE(connections_.AnyOpen());
  first.peer.reset();
  EXPECT_TRUE(connections_.AnyOpen());
  ASSERT_EQ(::shutdown(second.ours.get(), SHUT_RDWR), 0);  // as gRPC does before it closes
  second.ours.reset();
  EXPECT_FALSE(connections_.AnyOpen());
}

TEST_F(ConnectionsTest, KnowsOfBytesThatWait) {
  const Pair pair = NewPair();
  connections_.Add(pair.ours.get());
  EXPECT_FALSE(connections_.AnyUnread());
  ASSERT_EQ(::send(pair.peer.get(), "x", 1, 0), 1);
  EXPECT_TRUE(connections_.AnyUnread());
  EXPECT_NE(Heard(pair.ours), "");
  EXPECT_FALSE(connections_.AnyUnread());
}

std::ptrdiff_t OpenDescriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return std::distance(begin(all), end(all));
}

TEST_F(ConnectionsTest, LetsGoOfClosedOnesWhenTold) {
  const std::ptrdiff_t before = OpenDescriptors();
  for (std::size_t i = 0; i < Connections::kOfOneUser; ++i) {
    const Pair pair = NewPair();
    EXPECT_TRUE(connections_.Add(pair.ours.get()));
  }
  connections_.Sweep();
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(ConnectionsTest, LetsGoOfClosedOnesWhenItsRoomIsNeeded) {
  const std::ptrdiff_t before = OpenDescriptors();
  for (std::size_t i = 0; i < 10 * Connections::kOfOneUser; ++i) {
    const Pair pair = NewPair();
    EXPECT_TRUE(connections_.Add(pair.ours.get()));
  }
  EXPECT_LE(OpenDescriptors() - before, std::ptrdiff_t{Connections::kOfOneUser});
}

class RoomTest : public ConnectionsTest {
 protected:
  // How many of `wanted` connections of that user find room.
  std::size_t Fill(uid_t uid, std::size_t wanted) {
    EXPECT_EQ(::seteuid(uid), 0);
    std::size_t found = 0;
    for (std::size_t i = 0; i < wanted; ++i) {
      pairs_.push_back(NewPair());  // its credentials are those of now
      if (connections_.Add(pairs_.back().ours.get())) ++found;
    }
    EXPECT_EQ(::seteuid(0), 0);
    return found;
  }
  std::vector<Pair> pairs_;
};

TEST_F(RoomTest, IsBoundedForEachUserAndForAllButRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  EXPECT_EQ(Fill(1001, Connections::kOfOneUser + 1), Connections::kOfOneUser);
  EXPECT_EQ(Fill(1002, 50), 50U);
  EXPECT_EQ(Fill(1003, 60), Connections::kOfOthers - Connections::kOfOneUser - 50);
  EXPECT_EQ(Fill(0, 1), 1U) << "others hold all";
  pairs_.clear();
  EXPECT_EQ(Fill(1003, 60), 60U);
}

}  // namespace
}  // namespace okms
