// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The running plugin on a system bus, its sandbox on.

#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "control/bus_name.h"
#include "core/key_id_hash.h"
#include "integration/plugin_test.h"
#include "integration/private_bus.h"
#include "integration/unix_socket.h"
#include "support/require.h"

namespace okms::test {
namespace {

using testing::AllOf;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// The daemon takes nobody whom the machine does not know.
constexpr char kPluginUser[] = "nobody";
constexpr char kStranger[] = "daemon";
constexpr uint32_t kEncrypt = 0x1F;  // KMIP 1.4 section 9.1.3.2.27
constexpr char kDenied[] = "org.freedesktop.DBus.Error.AccessDenied: ";

uid_t IdOf(const char* user) {
  const passwd* const entry = ::getpwnam(user);
  Must(entry != nullptr, absl::StrCat("no user ", user));
  return entry->pw_uid;
}

class BusTest : public PluginTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
    OKMS_REQUIRE_OR_SKIP(PrivateBus::IsInstalled(),
                         "no dbus-daemon: scripts/install-packages test");
    ASSERT_EQ(::chmod(dir_.path().c_str(), 0777), 0);
    const uid_t user = IdOf(kPluginUser);
    for (const std::string& path : {client_pair_.key, client_pair_.certificate, pki_.ca()}) {
      ASSERT_EQ(::chown(path.c_str(), user, user), 0);
    }
    StartKms();
  }

  void StartBus(const std::string& plugin_user = kPluginUser) {
    bus_ = std::make_unique<PrivateBus>(dir_.path(), plugin_user);
  }
  ChildOptions At(const std::string& address) {
    ChildOptions options;
    options.environment = {absl::StrCat("DBUS_SYSTEM_BUS_ADDRESS=", address)};
    options.uid = IdOf(kPluginUser);
    return options;
  }
  void StartOnBus() {
    StartBus();
    StartPlugin(At(bus_->address()));
    Must(plugin().WaitForLine(absl::StrCat("info: on the system bus as ", kBusInterface, "\n")),
         "no name");
    ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
    root_ = std::make_unique<BusClient>(*bus_, 0);
    ASSERT_TRUE(WaitUntil([&] { return Property("Ready") == "true"; }));
  }

  static std::string Text(const absl::StatusOr<std::string>& answer) {
    return answer.ok() ? *answer : std::string(answer.status().message());
  }
  std::string Property(const std::string& name) { return Text(root_->Get(name)); }
  // Of 10 ms, of all its threads: proc_pid_stat(5).
  int CpuTicks() {
    std::ifstream stat(absl::StrCat("/proc/", plugin().pid(), "/stat"));
    std::string field;
    for (int i = 1; i <= 13; ++i) stat >> field;
    int user = 0;
    int system = 0;
    Must(static_cast<bool>(stat >> user >> system), "no times");
    return user + system;
  }
  int Encrypts() { return kms().handler().Counts()[kEncrypt]; }

  std::unique_ptr<PrivateBus> bus_;
  std::unique_ptr<BusClient> root_;
};

TEST_F(BusTest, ShowsHowItIs) {
  StartOnBus();
  EXPECT_EQ(Property("Reason"), "");
  EXPECT_EQ(Property("KeyIdHash"), KeyIdHash(key_.id));
  EXPECT_EQ(Property("Protocol"), "kmip");
  EXPECT_EQ(Property("Endpoints"), absl::StrCat("127.0.0.1:", port(), " true "));
#ifdef OKMS_SANITIZED
  EXPECT_THAT(Property("Sandbox"), StartsWith("NO SANDBOX"));
#else
  EXPECT_THAT(Property("Sandbox"), HasSubstr("Landlock"));
#endif
  EXPECT_THAT(Property("CertificateNotAfter"), HasSubstr("--client-cert "));
  EXPECT_EQ(Property("Adoptions"), "1");
  EXPECT_THAT(Text(root_->Call("GetReport")),
              AllOf(StartsWith("{\"version\":\""), HasSubstr("\"ready\":true"),
                    HasSubstr(KeyIdHash(key_.id))));
  ExpectRoundTrip();
  EXPECT_TRUE(WaitUntil([&] { return Property("Requests") != "0"; }));
}

TEST_F(BusTest, IsWhereTheControlProgramAsksFirst) {
  StartOnBus();
  for (const char* const user : {"root", kStranger}) {
    ChildOptions options;
    options.argv = {OKMS_CTL_PROGRAM, "status"};
    options.environment = {absl::StrCat("DBUS_SYSTEM_BUS_ADDRESS=", bus_->address())};
    options.uid = IdOf(user);
    const auto ctl = Must(ChildProcess::Start(options));
    EXPECT_EQ(ctl->Wait(), 0) << ctl->Err();
    EXPECT_THAT(ctl->Out(), AllOf(StartsWith("ready\n"), HasSubstr(KeyIdHash(key_.id))));
    EXPECT_THAT(ctl->Out(),
                HasSubstr(absl::StrCat("asked at      ", kBusInterface, " on the system bus\n")));
  }
}

// What opens within the plugin's interface: "property name="Ready" type="b" access="read"" and so
// on.
std::vector<std::string> Described(const std::string& xml) {
  std::vector<std::string> tags;
  const std::size_t begin = xml.find(absl::StrCat("<interface name=\"", kBusInterface));
  const std::string ours = xml.substr(begin, xml.find("</interface>", begin) - begin);
  for (const absl::string_view part : absl::StrSplit(ours, '<')) {
    std::string tag(part.substr(0, part.find('>')));
    if (tag.ends_with('/')) tag.pop_back();
    if (!tag.empty() && tag[0] != '/' && tag[0] != '!') tags.push_back(tag);
  }
  return tags;
}

TEST_F(BusTest, IsAsItsInterfaceIsDescribed) {
  StartOnBus();
  std::ostringstream file;
  file << std::ifstream(OKMS_BUS_INTERFACE).rdbuf();
  const std::vector<std::string> described = Described(file.str());
  EXPECT_GT(described.size(), 30U);
  EXPECT_THAT(Described(Text(root_->Call("org.freedesktop.DBus.Introspectable", "Introspect"))),
              ElementsAreArray(described));
}

TEST_F(BusTest, TellsWhatChanges) {
  StartOnBus();
  root_->Subscribe();
  SetKeyState(kmip::State::kDeactivated);
  EXPECT_EQ(Text(root_->Call("CheckNow")), "");
  EXPECT_TRUE(root_->HearsOf("PropertiesChanged", "Ready false"));
  EXPECT_TRUE(root_->HearsOf("ReadinessChanged", "false key key-1"));
  EXPECT_THAT(Property("LastErrors"), AllOf(HasSubstr("Z "), HasSubstr(Property("Reason"))));
  EXPECT_NE(Property("Reason"), "");
  SetKeyState(kmip::State::kActive);
  EXPECT_TRUE(root_->HearsOf("ReadinessChanged", "true"));
  EXPECT_EQ(Property("Reason"), "");
  EXPECT_THAT(Property("LastErrors"), HasSubstr("key-1"));
}

TEST_F(BusTest, TellsOfAnotherKey) {
  UseLabel("kek");
  StartOnBus();
  root_->Subscribe();
  MockKey next = Must(ParseMockKey("id=key-2,name=kek"));
  key_.name = "old";
  kms().handler().Put(key_);
  kms().handler().Put(next);
  EXPECT_TRUE(WaitUntil([&] {
    EXPECT_EQ(Text(root_->Call("CheckNow")), "");
    return Property("Adoptions") == "2";
  }));
  EXPECT_TRUE(root_->HearsOf("KeyAdopted", Property("KeyIdHash")));
  EXPECT_NE(Property("KeyIdHash"), KeyIdHash(key_.id));
}

TEST_F(BusTest, ObeysRoot) {
  StartOnBus();
  // Each check that is asked for makes a round trip, which those of every 10 seconds mostly do not.
  const int before = Encrypts();
  EXPECT_EQ(Text(root_->Call("CheckNow")), "");
  EXPECT_TRUE(WaitUntil([&] { return Encrypts() > before; }));
  EXPECT_EQ(Text(root_->Call("Reload")), "");
  EXPECT_TRUE(plugin().WaitForLine("certificates"));
}

TEST_F(BusTest, AStrangerMayLookAndNoMore) {
  StartOnBus();
  const BusClient stranger(*bus_, IdOf(kStranger));
  EXPECT_EQ(Text(stranger.Get("Ready")), "true");
  EXPECT_THAT(Text(stranger.Call("GetReport")), StartsWith("{"));
  EXPECT_THAT(Text(stranger.Call("CheckNow")), StartsWith(kDenied));
  EXPECT_THAT(Text(stranger.Call("Reload")), StartsWith(kDenied));
  EXPECT_EQ(Text(stranger.Call("org.freedesktop.DBus.Peer", "Ping")), "");
}

// The plugin looks whose order it is: the policy may be an administrator's own.
TEST_F(BusTest, AsksWhoGivesAnOrder) {
  StartBus();
  const std::string policy = absl::StrCat(dir_.path(), "/policies/all.conf");
  std::ofstream(policy) << "<busconfig><policy context=\"default\"><allow send_interface=\""
                        << kBusInterface << "\"/></policy></busconfig>";
  // It listens before it knows what to do at a signal; when it answers it does.
  EXPECT_EQ(BusClient(*bus_, 0).OwnerOf(kBusInterface), "");
  bus_->daemon().Signal(SIGHUP);
  StartPlugin(At(bus_->address()));
  ASSERT_TRUE(plugin().WaitForLine("info: on the system bus as "));
  const BusClient stranger(*bus_, IdOf(kStranger));
  const std::string refusal = absl::StrCat(kDenied, "this is for root");
  // Before the bus has read its policy again, it says no by itself, and in other words.
  ASSERT_TRUE(WaitUntil([&] { return Text(stranger.Call("CheckNow")) == refusal; }));
  EXPECT_EQ(Text(stranger.Call("Reload")), refusal);
}

// Whoever got hold of the plugin has its connection.
TEST_F(BusTest, MayCallNobodyElse) {
  StartBus();
  const BusClient other(*bus_, 0);
  Must(sd_bus_request_name(other.get(), "com.example.Other", 0) >= 0, "no other service");
  const auto call = [&](const char* user) {
    const BusClient client(*bus_, IdOf(user));
    sd_bus_call_method_async(client.get(), nullptr, "com.example.Other", "/", "com.example.Other",
                             "Do", nullptr, nullptr, "");
    sd_bus_flush(client.get());
    client.OwnerOf("com.example.Other");  // the bus has seen the call before it answers that
  };
  call(kStranger);
  call(kPluginUser);
  int heard = 0;
  for (int result = 1; result > 0;) {
    sd_bus_message* message = nullptr;
    result = sd_bus_process(other.get(), &message);
    if (message != nullptr && sd_bus_message_is_method_call(message, nullptr, "Do") > 0) ++heard;
    sd_bus_message_unref(message);
  }
  EXPECT_EQ(heard, 1);
}

TEST_F(BusTest, WithoutAPolicyItHasNoName) {
  StartBus("");
  StartPlugin(At(bus_->address()));
  EXPECT_TRUE(
      plugin().WaitForLine(absl::StrCat("notice: on the system bus, but not as ", kBusInterface,
                                        ": its policy does not give us that name")));
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
}

TEST_F(BusTest, GoesOnWhenTheBusIsGone) {
  StartOnBus();
  bus_->daemon().Signal(SIGKILL);
  EXPECT_TRUE(plugin().WaitForLine("notice: not on the system bus until the next start: "));
  ExpectRoundTrip();
  EXPECT_EQ(StopPlugin(), 0);
}

TEST_F(BusTest, ABusThatHangsHoldsUpNothing) {
  const std::string path = dir_ / "bus";
  const UniqueFd hangs = Must(BindUnix(path));
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  StartPlugin(At(absl::StrCat("unix:path=", path)));
  ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
  // It waits for the bus rather than ask again and again.
  const int ticks = CpuTicks();
  const Deadline end = Clock::now() + std::chrono::seconds(3);
  ASSERT_TRUE(WaitUntil([&] { return Expired(end); }));
  EXPECT_LT(CpuTicks() - ticks, 60);  // of 300
  EXPECT_EQ(StopPlugin(), 0);
}

TEST_F(BusTest, ABusThatMakesNoSenseIsLeft) {
  const std::string path = dir_ / "bus";
  const UniqueFd listening = Must(BindUnix(path));
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  StartPlugin(At(absl::StrCat("unix:path=", path)));
  const UniqueFd bus(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  // To what sd-bus says at once; then no message.
  const std::string garbage =
      absl::StrCat("DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n", std::string(4096, '\xff'));
  ASSERT_EQ(::send(bus.get(), garbage.data(), garbage.size(), MSG_NOSIGNAL),
            ssize_t(garbage.size()));
  EXPECT_TRUE(plugin().WaitForLine("notice: not on the system bus until the next start: "));
  ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_F(BusTest, OtherAddressesAreALine) {
  StartPlugin(At("unixexec:path=/bin/true"));
  EXPECT_THAT(plugin().Err(), HasSubstr("notice: not on the system bus: the bus's address is"));
  StopPlugin();
  StartPlugin(At(absl::StrCat("unix:path=", dir_ / "none")));
  EXPECT_THAT(plugin().Err(), HasSubstr("notice: not on the system bus: "));
  StopPlugin();
  StartPlugin(At(""));
  EXPECT_THAT(plugin().Err(), Not(HasSubstr("system bus")));
}

// For the bus it would be root for as long as it is connected.
TEST_F(BusTest, RootIsNotOnIt) {
  StartBus();
  ChildOptions options = At(bus_->address());
  options.uid.reset();
  StartPlugin(std::move(options));
  EXPECT_THAT(plugin().Err(), HasSubstr("notice: not on the system bus: root is not to be there"));
}

// A stranger who calls without pause, and one who does not read: answers are a second old, and the
// KMS hears nothing.
TEST_F(BusTest, AFloodCostsTheKmsNothing) {
  StartOnBus();
  ExpectRoundTrip();
  const int before = MemoryKb();
  // Not of the checks of every 10 seconds, which look at the key's attributes, once in a while.
  const int encrypts = Encrypts();
  const BusClient stranger(*bus_, IdOf(kStranger));
  const std::string path = BusPath();
  // Long enough for three ticks, and for several checks, did anybody ask for them.
  for (const Deadline end = Clock::now() + std::chrono::seconds(3); !Expired(end);) {
    sd_bus_message* call = nullptr;
    Must(sd_bus_message_new_method_call(stranger.get(), &call, kBusInterface, path.c_str(),
                                        kBusInterface, "GetReport") >= 0,
         "no call");
    // dbus-daemon bounds the calls that wait for an answer, and not these.
    sd_bus_message_set_expect_reply(call, 0);
    Must(sd_bus_send(stranger.get(), call, nullptr) >= 0, "not sent");
    sd_bus_message_unref(call);
    sd_bus_flush(stranger.get());
  }
  EXPECT_LE(Encrypts() - encrypts, 1);
  ExpectRoundTrip();
  EXPECT_EQ(Property("Ready"), "true");  // after all those
  EXPECT_TRUE(WaitUntil([&] { return MemoryKb() - before < 16'000; })) << MemoryKb() - before;
}

TEST_F(BusTest, LongTextsAreRefused) {
  StartOnBus();
  EXPECT_THAT(Property(std::string(255, 'x')), HasSubstr("UnknownProperty"));
  EXPECT_THAT(Property(std::string(256, 'x')), HasSubstr("no call here has such an argument"));
  const BusClient stranger(*bus_, IdOf(kStranger));
  const std::string longest(16 << 20, 'x');
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(Text(stranger.Get(longest)), HasSubstr("no call here has such an argument"));
  }
  EXPECT_TRUE(WaitUntil([&] { return MemoryKb() < 64'000; })) << MemoryKb();
}

}  // namespace
}  // namespace okms::test
