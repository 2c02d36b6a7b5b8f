// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// With a bus that is no bus: what a real one does not do. tests/integration/bus_test.cc has that.

#include "control/system_bus.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "control/bus_name.h"
#include "control/bus_object.h"

namespace okms {
namespace {

void Pad(std::string& bytes, std::size_t to) { bytes.resize((bytes.size() + to - 1) / to * to); }

void AddNumber(std::string& bytes, std::size_t number) {
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(number >> (8 * i) & 0xff);
}

// A call without arguments, as the D-Bus specification has it ("Message Format").
std::string CallOf(const std::string& member) {
  std::string fields;
  const auto add = [&](char code, char type, const std::string& value) {
    Pad(fields, 8);
    fields += {code, 1, type, 0};
    AddNumber(fields, value.size());
    fields += value + '\0';
  };
  add(1, 'o', BusPath());
  add(2, 's', kBusInterface);
  add(3, 's', member);
  std::string bytes{'l', 1, 0, 1};
  AddNumber(bytes, 0);  // of a body
  AddNumber(bytes, 1);  // its serial number
  AddNumber(bytes, fields.size());
  bytes += fields;
  Pad(bytes, 8);
  return bytes;
}

// Answers the hello, and then calls without reading what comes.
class Flood {
 public:
  explicit Flood(UniqueFd socket) : socket_(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 3)) {
    sd_bus* bus = nullptr;
    sd_bus_new(&bus);
    bus_.reset(bus);
    sd_bus_set_fd(bus, socket.get(), socket.get());
    socket.release();
    sd_id128_t id{};
    id.bytes[0] = 1;  // it must not be zero
    sd_bus_set_server(bus, 1, id);
    sd_bus_add_filter(bus, nullptr, Hello, &greeted_);
    sd_bus_start(bus);
    while (!greeted_ && sd_bus_process(bus, nullptr) >= 0) sd_bus_wait(bus, 1'000);
    sd_bus_flush(bus);
  }

  bool greeted() const { return greeted_; }
  // As often as the socket takes it.
  void Call() {
    while (true) {
      if (rest_.empty()) rest_ = CallOf("GetReport");
      const ssize_t sent = ::send(socket_.get(), rest_.data(), rest_.size(), MSG_DONTWAIT);
      if (sent < 0) return;
      rest_.erase(0, static_cast<std::size_t>(sent));
    }
  }

 private:
  struct Close {
    void operator()(sd_bus* bus) const {
      sd_bus_close(bus);
      sd_bus_unref(bus);
    }
  };

  static int Hello(sd_bus_message* message, void* greeted, sd_bus_error*) {
    if (sd_bus_message_is_method_call(message, nullptr, "Hello") <= 0) return 0;
    *static_cast<bool*>(greeted) = true;
    return sd_bus_reply_method_return(message, "s", ":1.1");
  }

  const UniqueFd socket_;
  std::string rest_;  // of the call that is being sent
  bool greeted_ = false;
  std::unique_ptr<sd_bus, Close> bus_;
};

TEST(SystemBus, AnswersNoMoreThanAreTaken) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
  UniqueFd theirs(ends[1]);
  const auto loop = *EventLoop::Create();
  BusObject object({[] {
                      Report report;
                      report.sandbox = std::string(900, 'x');  // so that answers are of some size
                      return report;
                    },
                    [] {}, [] {}});
  const auto bus = *SystemBus::Start(*loop, UniqueFd(ends[0]), [](const absl::Status&) {});
  ASSERT_TRUE(object.AddTo(*bus).ok());
  constexpr int kEnough = 100;
  std::atomic<bool> flooding = false;
  std::atomic<int> turns_stuck = 0;  // of the loop, in which it could have read one more
  uint64_t most = 0;
  ASSERT_TRUE(loop->Repeat([&] {
                    uint64_t unsent = 0;
                    sd_bus_get_n_queued_write(bus->get(), &unsent);
                    most = std::max(most, unsent);
                    turns_stuck = flooding && unsent > 0 ? turns_stuck + 1 : 0;
                    if (turns_stuck == kEnough) loop->Exit();
                    return Clock::now() + std::chrono::milliseconds(1);
                  })
                  .ok());
  std::thread thread([&] { EXPECT_TRUE(loop->Run().ok()); });
  Flood flood(std::move(theirs));
  EXPECT_TRUE(flood.greeted());
  flooding = true;
  while (turns_stuck < kEnough) flood.Call();
  thread.join();
  EXPECT_EQ(most, 1U);
}

}  // namespace
}  // namespace okms
