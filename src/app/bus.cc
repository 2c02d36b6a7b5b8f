// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/bus.h"

#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/read_file.h"
#include "base/status.h"
#include "control/bus_name.h"

namespace okms {
namespace {

constexpr char kSystemBus[] = "unix:path=/run/dbus/system_bus_socket";
constexpr std::chrono::seconds kTellInterval{1};

std::string OurCgroup() {
  const UniqueFd file = OpenToRead("/proc/self/cgroup");
  std::array<uint8_t, 4096> bytes{};
  const ssize_t size = file ? ReadInto(file.get(), bytes) : 0;
  return {bytes.begin(), bytes.begin() + (size > 0 ? size : 0)};
}

}  // namespace

BusSocket OpenBus(const Logger& log) {
  const char* const named = std::getenv("DBUS_SYSTEM_BUS_ADDRESS");
  const char* const by_default = std::getenv("NOTIFY_SOCKET") != nullptr ? kSystemBus : "";
  const std::string address = named != nullptr ? named : by_default;
  if (address.empty()) return {};
  absl::StatusOr<UniqueFd> socket = ::geteuid() == 0
                                        ? absl::FailedPreconditionError("root is not to be there")
                                        : SystemBus::Connect(address);
  if (socket.ok()) return {*std::move(socket), BusNames(OurCgroup())};
  // That there is none for us is usual, unless somebody has named it.
  const absl::Status& why = socket.status();
  const bool usual = absl::IsFailedPrecondition(why) || absl::IsNotFound(why);
  if (named != nullptr || !usual) {
    log.Notice(EventName::kBusTrouble, absl::StrCat("not on the system bus: ", why.message()));
  }
  return {};
}

std::unique_ptr<Bus> Bus::Serve(BusSocket socket, EventLoop& loop, BusObject::Parts parts,
                                const Logger& log) {
  if (!socket.fd) return nullptr;
  std::unique_ptr<Bus> bus(new Bus(std::move(parts), log));
  const absl::Status started = bus->Start(loop, std::move(socket));
  if (started.ok()) return bus;
  log.Notice(EventName::kBusTrouble, absl::StrCat("not on the system bus: ", started.message()));
  return nullptr;
}

absl::Status Bus::Start(EventLoop& loop, BusSocket socket) {
  const auto lost = [this](const absl::Status& why) {
    log_.Notice(EventName::kBusTrouble,
                absl::StrCat("not on the system bus until the next start: ", why.message()));
  };
  OKMS_ASSIGN_OR_RETURN(bus_, SystemBus::Start(loop, std::move(socket.fd), lost));
  OKMS_RETURN_IF_ERROR(object_.AddTo(*bus_));
  const std::string& own = socket.names.back();
  bus_->RequestName(own, /*cede=*/false, [this, own](const absl::Status& answer) {
    if (answer.ok()) {
      log_.Info(EventName::kBus, absl::StrCat("on the system bus as ", own));
    } else {
      log_.Notice(EventName::kBusTrouble,
                  absl::StrCat("on the system bus, but not as ", own, ": ", answer.message()));
    }
  });
  // To wait for the name of all is as usual for an instance as to have it.
  if (socket.names.size() > 1) {
    bus_->RequestName(socket.names.front(), /*cede=*/true, [](const absl::Status&) {});
  }
  return absl::OkStatus();
}

Deadline Bus::Tick() {
  if (bus_->get() == nullptr) return Deadline::max();
  object_.Tick();
  return Clock::now() + kTellInterval;
}

}  // namespace okms
