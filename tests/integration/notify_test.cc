// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the service manager is told (sd_notify(3)).

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "integration/plugin_test.h"
#include "integration/unix_socket.h"

namespace okms::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class NotifyTest : public PluginTest {
 protected:
  NotifyTest() : manager_(Must(BindUnix(dir_ / "notify", SOCK_DGRAM))) {}

  void StartNotifying() {
    ChildOptions options;
    options.environment = {absl::StrCat("NOTIFY_SOCKET=", dir_ / "notify")};
    LaunchPlugin(std::move(options));
  }

  // The next message; empty when none comes.
  std::string Next(std::chrono::milliseconds limit = kPatience) {
    pollfd entry{manager_.get(), POLLIN, 0};
    if (::poll(&entry, 1, PollTimeout(Clock::now() + limit)) <= 0) return "";
    std::array<char, 4096> buffer{};
    const ssize_t size = ::recv(manager_.get(), buffer.data(), buffer.size(), 0);
    return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
  }
  // Whether this comes, whatever comes before.
  bool Await(const std::string& message, std::chrono::milliseconds limit = kPatience) {
    return AwaitOne([&](const std::string& next) { return next == message; }, limit);
  }
  bool AwaitStart(const std::string& start) {
    return AwaitOne([&](const std::string& next) { return absl::StartsWith(next, start); });
  }

  // Whether this state comes; until when the certificates are good, and what the kernel's Landlock
  // is worth, is said behind it.
  bool AwaitState(const std::string& state) {
    return AwaitOne([&](const std::string& next) {
      absl::string_view left = next;
      return absl::ConsumePrefix(&left, absl::StrCat("STATUS=", state, "; ")) && ConsumeEnd(left) &&
             (absl::StartsWith(left, "Landlock ABI ") || absl::StartsWith(left, "no Landlock") ||
              absl::StartsWith(left, "NO SANDBOX"));
    });
  }

  std::string last_;
  std::vector<std::string> others_;

 private:
  // "--ca until 2026-12-27; ", of whichever certificate ends first: the test's are of one age.
  static bool ConsumeEnd(absl::string_view& text) {
    if (!absl::ConsumePrefix(&text, "--ca until 20") &&
        !absl::ConsumePrefix(&text, "--client-cert until 20")) {
      return false;
    }
    text.remove_prefix(std::min(std::size_t{8}, text.size()));
    return absl::ConsumePrefix(&text, "; ");
  }
  bool AwaitOne(const std::function<bool(const std::string&)>& wanted,
                std::chrono::milliseconds limit = kPatience) {
    const Deadline deadline = Clock::now() + limit;
    while (!Expired(deadline)) {
      last_ = Next(std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()));
      if (wanted(last_)) return true;
      others_.push_back(last_);
    }
    return false;
  }

  const UniqueFd manager_;
};

TEST_F(NotifyTest, ReadyComesWhenTheSocketTakesConnections) {
  StartNotifying();
  EXPECT_EQ(Next(), "READY=1");
  EXPECT_THAT(ConnectUnix(socket()), IsOk());  // also without a KMS
}

TEST_F(NotifyTest, TheStateFollows) {
  StartNotifying();
  ASSERT_EQ(Next(), "READY=1");
  EXPECT_TRUE(AwaitState(absl::StrCat("serving; no key yet: KMS unreachable for 0 s (127.0.0.1:",
                                      port(), ": connect: Connection refused)")));
  EXPECT_TRUE(AwaitStart(absl::StrCat("STATUS=serving; no key yet: KMS unreachable for 1 s")));
  StartKms();
  EXPECT_TRUE(AwaitState("serving; key key-1"));
  for (const std::string& other : others_) {
    EXPECT_THAT(other, StartsWith("STATUS=serving; no key yet"));
  }
  others_.clear();
  StopKms();
  // Told at the next tick, ten seconds after the last one at the latest.
  ASSERT_TRUE(AwaitStart("STATUS=serving; KMS unreachable for "));
  ASSERT_TRUE(AwaitStart("STATUS=serving; KMS unreachable for "));
  EXPECT_THAT(last_, HasSubstr(absl::StrCat(" s (127.0.0.1:", port(),
                                            ": connect: Connection refused); key key-1; ")));
  EXPECT_THAT(others_, IsEmpty());
}

TEST_F(NotifyTest, AKeyThatIsRefusedIsNoKmsThatIsAway) {
  key_.state = kmip::State::kDeactivated;
  StartKms();
  StartNotifying();
  EXPECT_TRUE(
      AwaitState("serving; no key that works for 0 s (key key-1 is in state Deactivated, "
                 "not Active)"));
}

TEST_F(NotifyTest, AFileOfTheKeysIdThatIsOfNoUseAndOtherKeysAreSaid) {
  StartKms();
  kms().handler().Put(Must(ParseMockKey("id=key-0")));
  std::filesystem::permissions(dir_.path(), std::filesystem::perms(0711));  // for another user
  const std::string file = dir_ / "key-id";
  std::ofstream(file) << "key-0";
  flags_.erase("--encryption-key-id");
  flags_["--encryption-key-id-file"] = file;
  StartNotifying();
  ASSERT_TRUE(AwaitState("serving; key key-0"));
  const auto record = client().Encrypt(NewPlaintext());
  ASSERT_THAT(record, IsOk());

  std::ofstream(file) << "key-1";
  plugin().Signal(SIGHUP);
  ASSERT_TRUE(AwaitState("serving; key key-1"));
  for (int i = 0; i < 2; ++i) EXPECT_THAT(client().Decrypt(*record), IsOk());
  EXPECT_TRUE(AwaitState("serving; key key-1; 2 Decrypts under 1 other key"));

  std::filesystem::remove(file);
  plugin().Signal(SIGHUP);
  EXPECT_TRUE(AwaitState(
      absl::StrCat("serving; key key-1; 2 Decrypts under 1 other key; --encryption-key-id-file ",
                   file, ": cannot be read: open: No such file or directory; correct the path")));
}

TEST_F(NotifyTest, ASocketFileThatIsGoneIsSaid) {
  StartKms();
  StartNotifying();
  ASSERT_TRUE(AwaitState("serving; key key-1"));
  ASSERT_EQ(::unlink(socket().c_str()), 0);
  EXPECT_TRUE(AwaitState(
      absl::StrCat("serving; key key-1; NOBODY CAN CONNECT: ", socket(), " was removed")));
}

TEST_F(NotifyTest, WhyItDoesNotStartIsSaid) {
  const auto before = flags_;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"--timeout",
       "--timeout x: no duration; give for example 10s or 1m30s; --label-grace x: no "
       "duration; give for example 10s or 1m30s"},
      {"--ca",
       absl::StrCat("--ca x: cannot be read: open: No such file or directory; correct the path")},
  };
  for (const auto& [flag, reason] : cases) {
    flags_[flag] = "x";
    if (flag == "--timeout") flags_["--label-grace"] = "x";
    StartNotifying();
    EXPECT_EQ(Next(), absl::StrCat("STATUS=ended: ", reason));
    EXPECT_EQ(plugin().Wait(), flag == "--timeout" ? 2 : 1);
    flags_ = before;
  }
  StartPlugin();
}

TEST_F(NotifyTest, TheEndIsSaid) {
  flags_["--timeout"] = "1m30s";
  StartKms();
  StartNotifying();
  ASSERT_TRUE(AwaitState("serving; key key-1"));
  plugin().Signal(SIGTERM);
  // With the time that calls under way may take, and five seconds.
  EXPECT_TRUE(Await("STOPPING=1\nEXTEND_TIMEOUT_USEC=95000000"));
  EXPECT_EQ(plugin().Wait(), 0);
  StartPlugin();
}

// ---- The watchdog: half a second is what systemd would wait for

class WatchdogTest : public NotifyTest {
 protected:
  void StartWatched() {
    ChildOptions options;
    options.environment = {absl::StrCat("NOTIFY_SOCKET=", dir_ / "notify"), "WATCHDOG_USEC=500000"};
    LaunchPlugin(std::move(options));
    ASSERT_TRUE(Await("READY=1"));
  }
  // A KMS that takes connections and says nothing.
  UniqueFd ListenSilently() {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Must(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
             ::listen(fd.get(), 100) == 0,
         "cannot listen");
    return fd;
  }
  // Whether systemd hears in time, eight times in a row.
  bool IsAlive() {
    Deadline last = Clock::now();
    for (int i = 0; i < 8; ++i) {
      if (!Await("WATCHDOG=1")) return false;
      // Twice what systemd would wait for: this machine may be busier than any that serves.
      if (Clock::now() - last > std::chrono::seconds(1)) return false;
      last = Clock::now();
    }
    return true;
  }
};

TEST_F(WatchdogTest, HearsOfAPluginThatWorks) {
  StartKms();
  StartWatched();
  EXPECT_TRUE(IsAlive());
  ExpectRoundTrip();
}

TEST_F(WatchdogTest, HearsOfAPluginWhoseKmsIsAway) {
  StartWatched();
  EXPECT_TRUE(IsAlive());
  EXPECT_THAT(plugin().Err(), Not(HasSubstr("watchdog")));
}

// A KMS that takes connections and says nothing keeps all workers waiting.
TEST_F(WatchdogTest, HearsOfAPluginWhoseKmsIsSilent) {
  flags_["--timeout"] = "1s";
  const UniqueFd silent = ListenSilently();
  StartWatched();
  std::vector<std::thread> callers;
  for (int i = 0; i < 20; ++i) {
    callers.emplace_back([this] { (void)NewClient()->Decrypt({"ciphertext", "key-1", {}}); });
  }
  EXPECT_TRUE(IsAlive());
  for (std::thread& caller : callers) caller.join();
  EXPECT_THAT(plugin().Err(), Not(HasSubstr("watchdog")));
}

// All threads of a process but its main one and that which writes the log, held still.
class HeldThreads {
 public:
  explicit HeldThreads(pid_t pid) {
    for (const auto& entry :
         std::filesystem::directory_iterator(absl::StrCat("/proc/", pid, "/task"))) {
      const pid_t thread = std::stoi(entry.path().filename());
      std::string name;
      std::getline(std::ifstream(entry.path() / "comm"), name);
      if (thread == pid || name == "log") continue;
      Must(::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) == 0 &&
               ::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) == 0 &&
               ::waitpid(thread, nullptr, __WALL) == thread,
           "cannot hold a thread");
      threads_.push_back(thread);
    }
  }
  ~HeldThreads() {
    for (const pid_t thread : threads_) ::ptrace(PTRACE_DETACH, thread, nullptr, nullptr);
  }
  HeldThreads(const HeldThreads&) = delete;
  HeldThreads& operator=(const HeldThreads&) = delete;

 private:
  std::vector<pid_t> threads_;
};

// The event loop's thread goes on, and could report; but nothing gets done any more.
TEST_F(WatchdogTest, HearsNothingOfAPluginWhoseThreadsStandStill) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can hold the plugin's threads";
  flags_["--timeout"] = "1s";
  StartKms();
  StartWatched();
  ASSERT_TRUE(IsAlive());
  {
    const HeldThreads held(plugin().pid());
    // The call to itself has a second, and another, and five.
    ASSERT_TRUE(WaitUntil([&] {
      // What comes is read meanwhile: a full socket would hold up the plugin as well.
      (void)Await("WATCHDOG=1", std::chrono::milliseconds(100));
      return plugin().WaitForLine("watchdog: stuck, to be restarted: ",
                                  std::chrono::milliseconds(1));
    }));
    while (Await("WATCHDOG=1", std::chrono::milliseconds(1))) {
    }
    EXPECT_FALSE(Await("WATCHDOG=1", std::chrono::seconds(1)));
    EXPECT_THAT(plugin().Err(), HasSubstr("gRPC ("));
  }
  EXPECT_TRUE(IsAlive());
  EXPECT_THAT(plugin().Err(), HasSubstr("watchdog: all work gets done again"));
}

TEST_F(NotifyTest, WithoutAWatchdogNothingIsReportedToIt) {
  StartKms();
  StartNotifying();
  ASSERT_TRUE(AwaitState("serving; key key-1"));
  EXPECT_FALSE(Await("WATCHDOG=1", std::chrono::seconds(1)));
}

TEST_F(NotifyTest, AManagerThatIsGoneIsNoHarm) {
  ChildOptions options;
  options.environment = {absl::StrCat("NOTIFY_SOCKET=", dir_ / "none")};
  StartKms();
  StartPlugin(std::move(options));
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  EXPECT_THAT(plugin().Err(), HasSubstr("cannot reach the service manager at NOTIFY_SOCKET="));
}

}  // namespace
}  // namespace okms::test
