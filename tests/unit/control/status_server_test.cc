// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Over real sockets, with the real loop on a thread of its own.

#include "control/status_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/unix_address.h"
#include "support/temp_dir.h"

namespace okms {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr char kGet[] = "GET /page HTTP/1.1\r\nHost: kms\r\n\r\n";
constexpr int kForEver = 60'000;  // ms; only a test that fails waits for so long

// The other end, which blocks.
class Client {
 public:
  explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const UnixAddress address = UnixAddress::Of(path).value();
    connected_ = ::connect(fd_.get(), address.get(), address.size()) == 0;
  }

  bool connected() const { return connected_; }
  int fd() const { return fd_.get(); }
  void Send(absl::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // All until the end.
  std::string Read() const {
    std::string all;
    std::array<char, 65536> bytes;
    pollfd entry{fd_.get(), POLLIN, 0};
    while (::poll(&entry, 1, kForEver) == 1) {
      const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
      if (got < 0) return absl::StrCat(all, " and a reset");
      if (got == 0) return all;
      all.append(bytes.data(), static_cast<std::size_t>(got));
    }
    ADD_FAILURE() << "no end of it";
    return all;
  }
  std::string Ask(absl::string_view request) const {
    Send(request);
    return Read();
  }
  // Whether the other side neither closes nor sends something for so long.
  bool QuietFor(int milliseconds) const {
    pollfd entry{fd_.get(), POLLIN, 0};
    return ::poll(&entry, 1, milliseconds) == 0;
  }

 private:
  UniqueFd fd_;
  bool connected_ = false;
};

class StatusServerTest : public ::testing::Test {
 protected:
  StatusServerTest() {
    listening_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const UnixAddress address = UnixAddress::Of(path_).value();
    EXPECT_EQ(::bind(listening_.get(), address.get(), address.size()), 0);
    EXPECT_EQ(::listen(listening_.get(), 4096), 0);
    std::promise<void> serving;
    thread_ = std::thread([&] {
      const auto loop = EventLoop::Create().value();
      auto server = StatusServer::Start(*loop, listening_.get(), pages_, logger_).value();
      const auto end = loop->WatchDescriptor(end_.get(), EPOLLIN, [&] { loop->Exit(); });
      EXPECT_TRUE(loop->Repeat([this] {
                        ++turns_;
                        most_in_a_turn_ = std::max(most_in_a_turn_.load(), in_this_turn_);
                        in_this_turn_ = 0;
                        return Clock::now() + std::chrono::milliseconds(1);
                      })
                      .ok());
      serving.set_value();
      EXPECT_TRUE(end.ok() && loop->Run().ok());
      server.reset();
    });
    serving.get_future().wait();
  }
  ~StatusServerTest() override { End(); }

  void End() {
    if (!thread_.joinable()) return;
    const uint64_t one = 1;
    EXPECT_EQ(::write(end_.get(), &one, sizeof one), ssize_t{sizeof one});
    thread_.join();
  }
  Client Connect() const { return Client(path_); }
  std::vector<std::string> Lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

  test::TempDir directory_;
  const std::string path_ = directory_ / "status.sock";
  std::atomic<int> turns_ = 0;
  std::atomic<int> asked_ = 0;
  int in_this_turn_ = 0;  // of pages, since the timer was served
  std::atomic<int> most_in_a_turn_ = 0;
  std::atomic<bool> slow_ = false;
  std::string body_ = "body";
  const HttpPages pages_ = [this](std::string_view) -> HttpReply {
    ++asked_;
    ++in_this_turn_;
    if (slow_) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return {200, "text/plain", body_};
  };
  mutable std::mutex mutex_;  // guards the lines
  std::vector<std::string> lines_;
  const Logger logger_{true, [this](const Event& event) {
                         const std::lock_guard lock(mutex_);
                         lines_.push_back(event.text);
                       }};
  UniqueFd listening_;
  const UniqueFd end_{::eventfd(0, EFD_CLOEXEC)};
  std::thread thread_;
};

TEST_F(StatusServerTest, AnswersAndCloses) {
  for (int i = 0; i < 50; ++i) {
    const std::string answer = Connect().Ask(kGet);
    ASSERT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    ASSERT_THAT(answer, EndsWith("\r\n\r\nbody"));
  }
  EXPECT_EQ(asked_, 50);
}

TEST_F(StatusServerTest, WaitsForTheRestOfARequest) {
  const Client client = Connect();
  client.Send("GET /pa");
  EXPECT_THAT(Connect().Ask(kGet), EndsWith("body"));  // and serves others meanwhile
  EXPECT_TRUE(client.QuietFor(0));
  EXPECT_THAT(client.Ask("ge HTTP/1.1\r\n\r\n"), EndsWith("body"));
}

TEST_F(StatusServerTest, RequestsInARowAreOneAnswer) {
  const std::string answer = Connect().Ask(absl::StrCat(kGet, kGet, kGet));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nbody"));
  EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos);
  EXPECT_EQ(asked_, 1);
}

// Bytes that it does not read would reset the connection, answer and all: so it still takes them.
TEST_F(StatusServerTest, ABodyDoesNotTakeTheAnswerAway) {
  const Client client = Connect();
  const std::string answer = client.Ask(
      absl::StrCat("POST / HTTP/1.1\r\nContent-Length: 32768\r\n\r\n", std::string(32768, 'x')));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(answer, EndsWith("use GET\n"));
  EXPECT_THAT(Connect().Ask(kGet), EndsWith("body"));  // the turn of the first one is over
  EXPECT_EQ(::send(client.fd(), "more", 4, MSG_NOSIGNAL), 4);
}

TEST_F(StatusServerTest, ABodyWithoutEndIsCutOff) {
  const Client client = Connect();
  client.Send("POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n");
  const std::string some(65536, 'x');
  // The peer is told by EPIPE.
  for (int i = 0; i < 1000; ++i) {
    if (::send(client.fd(), some.data(), some.size(), MSG_NOSIGNAL) < 0) return;
  }
  FAIL() << "all of it was read";
}

TEST_F(StatusServerTest, ALargePageArrivesWhole) {
  body_ = std::string(4 << 20, 'x');
  const std::string answer = Connect().Ask(kGet);
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, body_.size());
}

TEST_F(StatusServerTest, SurvivesAPeerThatIsGone) {
  ::signal(SIGPIPE, SIG_DFL);
  body_ = std::string(4 << 20, 'x');
  for (int i = 0; i < 20; ++i) Connect().Send(kGet);
  while (asked_ < 20) std::this_thread::yield();
  EXPECT_THAT(Connect().Ask(kGet), EndsWith("xxxx"));
}

TEST_F(StatusServerTest, WhoSendsNothingIsClosedInTheEnd) {
  const auto began = Clock::now();
  EXPECT_THAT(Connect().Read(), IsEmpty());
  EXPECT_GE(Clock::now() - began, StatusConnection::kPatience - std::chrono::milliseconds(100));
}

TEST_F(StatusServerTest, DripsDoNotProlongIt) {
  const Client client = Connect();
  client.Send("GET / HTTP/1.1\r\n");
  const Deadline limit = Clock::now() + std::chrono::milliseconds(kForEver);
  while (client.QuietFor(100) && !Expired(limit)) client.Send("X: y\r\n");
  ASSERT_FALSE(Expired(limit));
  EXPECT_THAT(client.Read(), IsEmpty());
  EXPECT_EQ(asked_, 0);
}

TEST_F(StatusServerTest, WhoDoesNotTakeTheAnswerIsClosedInTheEnd) {
  body_ = std::string(8 << 20, 'x');
  const Client client = Connect();
  client.Send(kGet);
  pollfd entry{client.fd(), POLLRDHUP, 0};
  EXPECT_EQ(::poll(&entry, 1, kForEver), 1);
  EXPECT_LT(client.Read().size(), body_.size());
}

TEST_F(StatusServerTest, TheOldestGivesWayWhenThereAreTooMany) {
  std::vector<Client> idle;
  for (std::size_t i = 0; i < StatusServer::kMostConnections; ++i) idle.push_back(Connect());
  EXPECT_THAT(Connect().Ask(kGet), EndsWith("body"));
  EXPECT_THAT(idle.front().Read(), IsEmpty());
  EXPECT_THAT(idle.back().Ask(kGet), EndsWith("body"));
}

TEST_F(StatusServerTest, WhoHasTheAnswerGivesWayAtOnce) {
  std::vector<Client> answered;
  for (std::size_t i = 0; i < 4 * StatusServer::kMostConnections; ++i) {
    answered.push_back(Connect());
    answered.back().Send(kGet);
  }
  EXPECT_THAT(Connect().Ask(kGet), EndsWith("body"));
  for (const Client& client : answered) EXPECT_THAT(client.Read(), EndsWith("body"));
}

TEST_F(StatusServerTest, AThousandAtOnceAreAllAnswered) {
  std::vector<Client> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(Connect());
    clients.back().Send(kGet);
  }
  for (const Client& client : clients) ASSERT_THAT(client.Read(), EndsWith("body"));
}

TEST_F(StatusServerTest, TakesInABoundedNumberInATurn) {
  slow_ = true;  // so that the timer is due after each turn
  std::vector<Client> clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(Connect());
    clients.back().Send(kGet);
  }
  for (const Client& client : clients) ASSERT_THAT(client.Read(), EndsWith("body"));
  const int before = turns_;
  while (turns_ == before) std::this_thread::yield();  // the last turn counts, too
  EXPECT_LE(most_in_a_turn_, 2 * StatusServer::kInOneTurn);
}

// Those who connect without pause, and those who say nothing, leave the loop its other work.
TEST_F(StatusServerTest, TheLoopGoesOnUnderAFlood) {
  std::atomic<bool> stop = false;
  std::vector<std::thread> flood;
  for (int i = 0; i < 2; ++i) {
    flood.emplace_back([&, i] {
      while (!stop) {
        const Client client = Connect();
        if (i == 0) client.Send(kGet);
      }
    });
  }
  const int before = turns_;
  const Deadline limit = Clock::now() + std::chrono::milliseconds(kForEver);
  while (turns_ < before + 200 && !Expired(limit)) std::this_thread::yield();
  stop = true;
  for (std::thread& thread : flood) thread.join();
  EXPECT_GE(turns_, before + 200);
  EXPECT_THAT(Connect().Ask(kGet), EndsWith("body"));
}

TEST_F(StatusServerTest, ItsEndClosesAll) {
  const Client silent = Connect();
  EXPECT_THAT(Connect().Ask(kGet), EndsWith("body"));
  End();
  EXPECT_THAT(silent.Read(), IsEmpty());
}

TEST_F(StatusServerTest, WithoutDescriptorsItTriesLater) {
  const Client client = Connect();
  ASSERT_THAT(client.Ask(kGet), EndsWith("body"));
  const Client waiting(path_);  // may be taken in yet
  ASSERT_THAT(waiting.Ask(kGet), EndsWith("body"));
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = static_cast<rlim_t>(UniqueFd(::dup(0)).get());  // the next one is too many
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  const UnixAddress address = UnixAddress::Of(path_).value();
  EXPECT_EQ(::connect(socket.get(), address.get(), address.size()), 0);
  EXPECT_EQ(::send(socket.get(), kGet, sizeof kGet - 1, MSG_NOSIGNAL), ssize_t{sizeof kGet - 1});
  const Deadline patience = Clock::now() + std::chrono::milliseconds(kForEver);
  while (Lines().empty() && !Expired(patience)) std::this_thread::yield();
  limit.rlim_cur = before;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("status pages: accept: Too many open files")));
  std::array<char, 1000> bytes{};
  EXPECT_GT(::recv(socket.get(), bytes.data(), bytes.size(), 0), 0);
}

}  // namespace
}  // namespace okms
