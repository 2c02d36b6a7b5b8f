// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "integration/private_bus.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "control/bus_name.h"
#include "integration/unix_socket.h"
#include "integration/wait.h"

namespace okms::test {
namespace {

constexpr char kDaemon[] = "/usr/bin/dbus-daemon";

// The rules of /usr/share/dbus-1/system.conf that matter here.
constexpr char kConfiguration[] = R"(<!DOCTYPE busconfig PUBLIC
 "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <auth>EXTERNAL</auth>
  <listen>unix:path=$PATH</listen>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <!-- Stands for the other services of a machine, whom anybody may call. -->
    <allow send_destination="com.example.Other"/>
  </policy>
  <policy user="root"><allow own="com.example.Other"/></policy>
  <includedir>$POLICIES</includedir>
</busconfig>
)";

void Write(const std::string& path, const std::string& text) {
  Must(bool(std::ofstream(path) << text), path);
}

std::string Read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// What is left of a message, one value after the other.
std::string Print(sd_bus_message* message) {
  std::string all;
  const auto add = [&](const auto& value) { absl::StrAppend(&all, all.empty() ? "" : " ", value); };
  while (true) {
    char type = 0;
    const char* contents = nullptr;
    if (sd_bus_message_peek_type(message, &type, &contents) <= 0) {
      if (sd_bus_message_exit_container(message) < 0) return all;
      continue;
    }
    union {
      const char* text;
      uint64_t number;
      int boolean;
    } value{};
    if (contents != nullptr) {
      sd_bus_message_enter_container(message, type, contents);
    } else if (sd_bus_message_read_basic(message, type, &value) <= 0) {
      return "what this test cannot read";
    } else if (type == 's') {
      add(value.text);
    } else if (type == 'b') {
      add(value.boolean != 0 ? "true" : "false");
    } else {
      add(value.number);
    }
  }
}

using Message = std::unique_ptr<sd_bus_message, decltype(&sd_bus_message_unref)>;

Message Own(sd_bus_message* message) { return {message, sd_bus_message_unref}; }

struct Error {
  sd_bus_error error{};
  ~Error() { sd_bus_error_free(&error); }
  absl::Status Status() const {
    return absl::UnknownError(absl::StrCat(error.name == nullptr ? "" : error.name, ": ",
                                           error.message == nullptr ? "" : error.message));
  }
};

}  // namespace

bool PrivateBus::IsInstalled() { return ::access(kDaemon, X_OK) == 0; }

PrivateBus::PrivateBus(const std::string& directory, const std::string& plugin_user)
    : path_(directory + "/bus") {
  const std::string policies = directory + "/policies";
  Must(::mkdir(policies.c_str(), 0755) == 0, policies);
  if (!plugin_user.empty()) {
    Write(policies + "/ours.conf",
          absl::StrReplaceAll(Read(OKMS_BUS_POLICY), {{"okms-kms", plugin_user}}));
  }
  const std::string configuration = directory + "/bus.conf";
  Write(configuration,
        absl::StrReplaceAll(kConfiguration, {{"$PATH", path_}, {"$POLICIES", policies}}));
  daemon_ = Must(ChildProcess::Start(
      {.argv = {kDaemon, "--nofork", "--nopidfile", "--config-file=" + configuration},
       .uid = ::geteuid()}));
  Must(WaitUntil([&] { return ConnectUnix(path_).ok(); }),
       absl::StrCat("no bus: ", daemon_->Err()));
}

BusClient::BusClient(const PrivateBus& bus, uid_t uid) {
  sd_bus* made = nullptr;
  Must(sd_bus_new(&made) >= 0, "no sd-bus");
  bus_.reset(made);
  const int fd = Must(ConnectUnixAs(bus.path(), uid, uid)).release();
  Must(sd_bus_set_fd(made, fd, fd) >= 0 && sd_bus_set_bus_client(made, 1) >= 0 &&
           sd_bus_start(made) >= 0,
       "no client of the bus");
}

absl::StatusOr<std::string> BusClient::Call(const std::string& interface,
                                            const std::string& member) const {
  Error error;
  sd_bus_message* answer = nullptr;
  const std::string path = BusPath();
  const int result = sd_bus_call_method(get(), kBusInterface, path.c_str(), interface.c_str(),
                                        member.c_str(), &error.error, &answer, "");
  const Message owned = Own(answer);
  if (result < 0) return error.Status();
  return Print(answer);
}

absl::StatusOr<std::string> BusClient::Call(const std::string& member) const {
  return Call(kBusInterface, member);
}

std::string BusClient::OwnerOf(const std::string& name) const {
  sd_bus_message* answer = nullptr;
  sd_bus_call_method(get(), "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                     "GetNameOwner", nullptr, &answer, "s", name.c_str());
  const Message owned = Own(answer);
  return answer == nullptr ? "" : Print(answer);
}

absl::StatusOr<std::string> BusClient::Get(const std::string& property) const {
  Error error;
  sd_bus_message* answer = nullptr;
  const std::string path = BusPath();
  const int result =
      sd_bus_call_method(get(), kBusInterface, path.c_str(), "org.freedesktop.DBus.Properties",
                         "Get", &error.error, &answer, "ss", kBusInterface, property.c_str());
  const Message owned = Own(answer);
  if (result < 0) return error.Status();
  return Print(answer);
}

void BusClient::Subscribe() const {
  Must(sd_bus_add_match(get(), nullptr, "type='signal',path_namespace='/internal'", nullptr,
                        nullptr) >= 0,
       "no subscription");
}

bool BusClient::HearsOf(const std::string& member, const std::string& part) const {
  const Deadline deadline = Clock::now() + kPatience;
  while (!Expired(deadline)) {
    sd_bus_message* message = nullptr;
    if (sd_bus_process(get(), &message) < 0) return false;
    const Message owned = Own(message);
    if (message == nullptr) {
      sd_bus_wait(get(), 100'000);
    } else if (sd_bus_message_is_signal(message, nullptr, member.c_str()) > 0 &&
               Print(message).find(part) != std::string::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace okms::test
