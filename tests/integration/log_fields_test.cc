// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The log for programs: JSON, and the fields of systemd's journal.

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/journal.h"
#include "base/unix_address.h"
#include "core/key_id_hash.h"
#include "integration/plugin_test.h"
#include "integration/private_machine.h"
#include "support/require.h"

namespace okms::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Pair;

class JsonLogTest : public PluginTest {
 protected:
  JsonLogTest() { flags_["--log-format"] = "json"; }
};

TEST_F(JsonLogTest, EachLineIsAnObjectWithTheEvent) {
  StartKms();
  StartReady();
  Record record = Must(client().Encrypt(NewPlaintext()));
  record.key_id = "retired \"key\"";
  EXPECT_THAT(client().Decrypt(record, "uid-\n1"), StatusIs(Code::kNotFound, testing::_));
  plugin().Signal(SIGTERM);
  ASSERT_EQ(plugin().Wait(), 0);
  std::map<std::string, json> events;
  for (const std::string& line : plugin().ErrLines()) {
    const json event = json::parse(line, nullptr, /*allow_exceptions=*/false);
    ASSERT_TRUE(event.is_object()) << line;
    EXPECT_THAT(event.value("time", ""), MatchesRegex("[0-9-]{10}T[0-9:]{8}[.][0-9]{6}Z"));
    EXPECT_NE(event.value("message", ""), "");
    events[event.value("event", "")] = event;
  }
  ASSERT_TRUE(events.contains("started") && events.contains("stopping"));
  EXPECT_EQ(events["key-adopted"].value("severity", ""), "notice");
  EXPECT_EQ(events["key-adopted"].value("key_id_hash", ""), KeyIdHash(key_.id));
  EXPECT_EQ(events["call-failed"].value("severity", ""), "warning");
  EXPECT_EQ(events["call-failed"].value("key_id_hash", ""), KeyIdHash(record.key_id));
  EXPECT_EQ(events["call-failed"].value("uid", ""), "uid-?1");
  EXPECT_THAT(events["call-failed"].value("message", ""),
              HasSubstr("Decrypt failed (uid uid-?1, key retired \"key\"): "));
  StartPlugin();
}

TEST_F(JsonLogTest, MistakesOfTheCommandLineAreSuchObjects) {
  flags_["--timeout"] = "long";
  const Ended ended = RunToEnd();
  EXPECT_EQ(ended.exit_status, 2);
  const json event = json::parse(ended.err, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(event.is_object()) << ended.err;
  EXPECT_EQ(event.value("event", ""), "misconfigured");
  EXPECT_THAT(event.value("message", ""), HasSubstr("--timeout long: no duration"));
}

TEST_F(JsonLogTest, OtherFormsAreRefused) {
  flags_["--log-format"] = "xml";
  const Ended ended = RunToEnd();
  EXPECT_EQ(ended.exit_status, 2);
  EXPECT_EQ(ended.err, "error: --log-format xml: no such form; use auto, text or json\n");
}

struct Machine {
  PrivateMachine machine_;  // a base, so that it comes before the test's sockets
};

// The plugin's standard error is the journal's stream, as under systemd; the journal is the test.
class JournalLogTest : private Machine, public PluginTest {
 protected:
  void SetUp() override {
    OKMS_REQUIRE_OR_SKIP(machine_.missing().empty(), machine_.missing());
    ASSERT_EQ(::mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"), 0);
    std::filesystem::create_directories("/run/systemd/journal");
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    stream_ = UniqueFd(ends[0]);
    writer_ = UniqueFd(ends[1]);
    ASSERT_EQ(::fcntl(stream_.get(), F_SETFL, O_NONBLOCK), 0);
    flags_.erase("--debug");  // the journal takes some ten entries (net.unix.max_dgram_qlen)
    StartKms();
  }
  void Listen() {
    const auto address = UnixAddress::Of(Journal::kSocket);
    journal_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(journal_.get(), address->get(), address->size()), 0);
  }
  void StartInUnit() {
    struct stat file {};
    ASSERT_EQ(::fstat(writer_.get(), &file), 0);
    ChildOptions options;
    options.environment = {absl::StrCat("JOURNAL_STREAM=", file.st_dev, ":", file.st_ino)};
    options.err_fd = writer_.get();
    LaunchPlugin(options);
    ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  }
  void FailDecrypt(const std::string& key_id) {
    Record record = Must(client().Encrypt(NewPlaintext()));
    record.key_id = key_id;
    EXPECT_THAT(client().Decrypt(record, "uid-1"), StatusIs(Code::kNotFound, testing::_));
  }
  // Reads until an entry has this line; its fields, empty when none comes.
  std::map<std::string, std::string> EntryWith(const std::string& line) {
    std::map<std::string, std::string> fields;
    WaitUntil([&] {
      std::array<char, 65536> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
      const ssize_t size = ::recv(journal_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (size <= 0) return false;
      const std::string entry(bytes.data(), static_cast<std::size_t>(size));
      if (!absl::StrContains("\n" + entry, "\n" + line + "\n")) return false;
      for (const absl::string_view field : absl::StrSplit(entry, '\n', absl::SkipEmpty())) {
        fields.insert(absl::StrSplit(field, absl::MaxSplits('=', 1)));
      }
      return true;
    });
    return fields;
  }
  // What has come as text so far.
  const std::string& Stream() {
    std::array<char, 4096> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    for (ssize_t size = 1; size > 0;) {
      size = ::read(stream_.get(), bytes.data(), bytes.size());
      if (size > 0) text_.append(bytes.data(), static_cast<std::size_t>(size));
    }
    return text_;
  }
  bool StreamHas(const std::string& part) {
    return WaitUntil([&] { return absl::StrContains(Stream(), part); });
  }

  UniqueFd journal_;
  UniqueFd stream_;
  UniqueFd writer_;
  std::string text_;
};

TEST_F(JournalLogTest, GetsEventsWithTheirFields) {
  Listen();
  StartInUnit();
  const auto adopted = EntryWith("OKMS_EVENT=key-adopted");
  EXPECT_THAT(adopted,
              AllOf(Contains(Pair("PRIORITY", "5")), Contains(Pair("SYSLOG_FACILITY", "3")),
                    Contains(Pair("MESSAGE", "ready: key key-1 encrypts and decrypts")),
                    Contains(Pair("KEY_ID_HASH", KeyIdHash(key_.id)))));
  FailDecrypt("retired-key");
  const auto failed = EntryWith("OKMS_EVENT=call-failed");
  EXPECT_THAT(failed, AllOf(Contains(Pair("PRIORITY", "4")), Contains(Pair("UID", "uid-1")),
                            Contains(Pair("KEY_ID_HASH", KeyIdHash("retired-key")))));
  EXPECT_EQ(StopPlugin(), 0);
  EXPECT_FALSE(EntryWith("OKMS_EVENT=stopping").empty());
  EXPECT_EQ(Stream(), "");
}

TEST_F(JournalLogTest, WhatABusyJournalDoesNotTakeGoesToTheStream) {
  Listen();
  StartInUnit();
  for (int i = 0; i < 20; ++i) FailDecrypt(absl::StrCat("retired-", i));
  EXPECT_TRUE(StreamHas("<4>Decrypt failed (uid uid-1, key retired-19): "));
  ExpectRoundTrip();
  EXPECT_FALSE(EntryWith("OKMS_EVENT=call-failed").empty());
  EXPECT_EQ(StopPlugin(), 0);
}

TEST_F(JournalLogTest, WithoutItsSocketTheStreamHasAll) {
  StartInUnit();
  EXPECT_TRUE(StreamHas("<5>ready: key key-1"));
  EXPECT_EQ(StopPlugin(), 0);
  for (const absl::string_view line : absl::StrSplit(Stream(), '\n', absl::SkipEmpty())) {
    EXPECT_THAT(std::string(line), MatchesRegex("<[3-7]>.+"));
  }
}

TEST_F(JournalLogTest, TextAndJsonGoToTheStreamWhenTheyAreAskedFor) {
  Listen();
  flags_["--log-format"] = "text";
  StartInUnit();
  EXPECT_TRUE(StreamHas("<5>ready: key key-1"));
  EXPECT_EQ(StopPlugin(), 0);
  flags_["--log-format"] = "json";
  StartInUnit();
  EXPECT_TRUE(StreamHas("\"event\":\"key-adopted\""));
  EXPECT_THAT(Stream(), HasSubstr("\n<6>{\"time\":\""));
  char byte = 0;
  EXPECT_LT(::recv(journal_.get(), &byte, 1, MSG_DONTWAIT), 0);
}

// The journal would look for a process that is gone.
TEST_F(JournalLogTest, WhatEndsTheProcessGoesToTheStream) {
  Listen();
  struct stat file {};
  ASSERT_EQ(::fstat(writer_.get(), &file), 0);
  ChildOptions options;
  options.environment = {absl::StrCat("JOURNAL_STREAM=", file.st_dev, ":", file.st_ino)};
  options.err_fd = writer_.get();
  flags_["--client-cert"] = client_pair_.key;
  EXPECT_EQ(RunToEnd(options).exit_status, 1);
  EXPECT_THAT(Stream(), HasSubstr("<3>--client-cert "));
  flags_["--timeout"] = "long";
  EXPECT_EQ(RunToEnd(options).exit_status, 2);
  EXPECT_THAT(Stream(), HasSubstr("<3>--timeout long: "));
}

// A variable that was merely inherited.
TEST_F(JournalLogTest, AnotherStreamIsNotTheJournal) {
  Listen();
  ChildOptions options;
  options.environment = {"JOURNAL_STREAM=8:1"};
  StartPlugin(std::move(options));
  ASSERT_TRUE(plugin().WaitForLine("notice: ready: key key-1"));
  char byte = 0;
  EXPECT_LT(::recv(journal_.get(), &byte, 1, MSG_DONTWAIT), 0);
}

}  // namespace
}  // namespace okms::test
