// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/system_bus.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/deadline.h"
#include "base/status.h"
#include "base/unix_address.h"

namespace okms {
namespace {

// Of a call of ours, of which there are three kinds, all of them to the bus itself. To be set, or
// sd-bus looks for a variable of the environment.
constexpr uint64_t kCallTimeout = 25'000'000;  // microseconds

constexpr uint32_t kInQueue = 2;  // DBUS_REQUEST_NAME_REPLY_IN_QUEUE of the specification

static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT);

absl::Status Check(int result, absl::string_view what) {
  if (result >= 0) return absl::OkStatus();
  return ErrnoStatus(absl::StatusCode::kUnavailable, what, -result);
}

// A call with a text that is longer than any name, which sd-bus would repeat in its answer, or
// with another kind of argument than texts. Such a call is answered here.
bool IsTooMuch(sd_bus_message* call) {
  const absl::string_view signature = sd_bus_message_get_signature(call, /*complete=*/1);
  if (signature.empty()) return false;
  if (signature != "s" && signature != "ss") return true;
  const char* text = nullptr;
  while (sd_bus_message_read_basic(call, 's', &text) > 0) {
    if (std::strlen(text) > SystemBus::kLongestName) return true;
  }
  return sd_bus_message_rewind(call, /*complete=*/1) < 0;
}

int RefuseTooMuch(sd_bus_message* message, void*, sd_bus_error*) {
  if (sd_bus_message_is_method_call(message, nullptr, nullptr) <= 0 || !IsTooMuch(message)) {
    return 0;  // goes on to who is asked
  }
  sd_bus_reply_method_errorf(message, SD_BUS_ERROR_INVALID_ARGS,
                             "no call here has such an argument");
  return 1;
}

}  // namespace

void SystemBus::Close::operator()(sd_bus* bus) const {
  sd_bus_close(bus);  // without it, what is unsent would hold it
  sd_bus_unref(bus);
}

absl::StatusOr<UniqueFd> SystemBus::Connect(absl::string_view address) {
  absl::string_view path = address;
  const std::optional<UnixAddress> socket_address =
      absl::ConsumePrefix(&path, "unix:path=") ? UnixAddress::Of(path) : std::nullopt;
  if (!socket_address || path.empty() || path[0] != '/' ||
      path.find_first_of(",;%") != absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("the bus's address is \"", Printable(address),
                                                   "\", not the likes of \"unix:path=/PATH\""));
  }
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket && ::connect(socket.get(), socket_address->get(), socket_address->size()) == 0) {
    return socket;
  }
  const int error = errno;
  return ErrnoStatus(error == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kUnavailable,
                     Printable(path), error);
}

absl::StatusOr<std::unique_ptr<SystemBus>> SystemBus::Start(
    EventLoop& loop, UniqueFd socket, std::function<void(absl::Status)> lost) {
  std::unique_ptr<SystemBus> self(new SystemBus(std::move(socket), std::move(lost)));
  sd_bus* bus = nullptr;
  OKMS_RETURN_IF_ERROR(Check(sd_bus_new(&bus), "sd-bus"));
  self->bus_.reset(bus);
  const int fd = ::fcntl(self->socket_.get(), F_DUPFD_CLOEXEC, 3);
  if (fd < 0) return ErrnoStatus(absl::StatusCode::kUnavailable, "sd-bus: descriptor", errno);
  OKMS_RETURN_IF_ERROR(Check(sd_bus_set_fd(bus, fd, fd), "sd-bus: descriptor"));
  OKMS_RETURN_IF_ERROR(Check(sd_bus_set_bus_client(bus, 1), "sd-bus: client"));
  OKMS_RETURN_IF_ERROR(Check(sd_bus_negotiate_fds(bus, 0), "sd-bus: no descriptors"));
  OKMS_RETURN_IF_ERROR(Check(sd_bus_set_method_call_timeout(bus, kCallTimeout), "sd-bus: timeout"));
  OKMS_RETURN_IF_ERROR(
      Check(sd_bus_add_filter(bus, nullptr, RefuseTooMuch, nullptr), "sd-bus: filter"));
  OKMS_RETURN_IF_ERROR(Check(sd_bus_start(bus), "sd-bus: start"));
  const auto process = [pointer = self.get()] { pointer->Process(); };
  OKMS_ASSIGN_OR_RETURN(self->watch_, loop.WatchDescriptor(self->socket_.get(), 0, process));
  OKMS_ASSIGN_OR_RETURN(self->timer_, loop.NewTimer(process));
  self->Sent();
  return self;
}

struct SystemBus::Callbacks {
  static int Named(sd_bus_message* answer, void* userdata, sd_bus_error*) {
    const Answered& answered = *static_cast<const Answered*>(userdata);
    uint32_t outcome = 0;
    if (sd_bus_message_is_method_error(answer, SD_BUS_ERROR_ACCESS_DENIED) > 0) {
      answered(absl::PermissionDeniedError("its policy does not give us that name"));
    } else if (const sd_bus_error* error = sd_bus_message_get_error(answer); error != nullptr) {
      answered(absl::UnavailableError(Printable(error->message)));
    } else if (sd_bus_message_read(answer, "u", &outcome) >= 0 && outcome == kInQueue) {
      answered(absl::AlreadyExistsError("another process has that name"));
    } else {
      answered(absl::OkStatus());
    }
    return 1;
  }
};

void SystemBus::RequestName(const std::string& name, bool cede, Answered answered) {
  Answered& kept = answers_.emplace_back(std::move(answered));
  const uint64_t flags =
      SD_BUS_NAME_QUEUE | (cede ? SD_BUS_NAME_ALLOW_REPLACEMENT : SD_BUS_NAME_REPLACE_EXISTING);
  const int result =
      sd_bus_request_name_async(get(), nullptr, name.c_str(), flags, Callbacks::Named, &kept);
  if (result < 0) kept(Check(result, "sd-bus: name"));
  Sent();
}

bool SystemBus::AllIsWritten() const {
  uint64_t messages = 0;
  return bus_ != nullptr && sd_bus_get_n_queued_write(bus_.get(), &messages) >= 0 && messages == 0;
}

void SystemBus::Process() {
  if (bus_ == nullptr) return;
  int result = sd_bus_process(bus_.get(), nullptr);
  if (result >= 0 && sd_bus_is_open(bus_.get()) <= 0) result = -ECONNRESET;
  if (result >= 0) {
    Sent();
    return;
  }
  watch_ = EventLoop::Watch();
  timer_ = EventLoop::Watch();
  bus_.reset();
  lost_(Check(result, "the bus is lost"));
}

void SystemBus::Sent() {
  if (bus_ == nullptr) return;
  const bool written = AllIsWritten();
  const int wanted = sd_bus_get_events(bus_.get());
  uint32_t events = wanted > 0 ? static_cast<uint32_t>(wanted) : 0;
  // Before the bus has let us in, sd-bus alone knows when it wants to write.
  if (!written && sd_bus_is_ready(bus_.get()) > 0) events = EPOLLOUT;
  watch_.Await(events);
  uint64_t time = UINT64_MAX;  // microseconds of CLOCK_MONOTONIC; 0: now
  if (sd_bus_get_timeout(bus_.get(), &time) < 0 || time == UINT64_MAX || (time == 0 && !written)) {
    timer_.At(Deadline::max());
  } else {
    timer_.At(Deadline(std::chrono::microseconds(time)));
  }
}

}  // namespace okms
