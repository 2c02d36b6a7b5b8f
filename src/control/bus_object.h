// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the plugin is on the bus: an object that shows the report, tells its changes, and takes two
// orders of root's. dbus/interface.xml.in describes it.

#ifndef OKMS_CONTROL_BUS_OBJECT_H_
#define OKMS_CONTROL_BUS_OBJECT_H_

#include <functional>
#include <list>
#include <string>

#include "absl/status/status.h"
#include "control/bus_facts.h"
#include "control/report.h"
#include "control/system_bus.h"

struct sd_bus_message;
struct sd_bus_slot;

namespace okms {

// Answers are those of the last Tick, so that a call costs no more than a copy, whoever asks
// however often. On the loop's thread.
class BusObject {
 public:
  struct Parts {
    std::function<Report()> report;
    std::function<void()> check_now;
    std::function<void()> reload;
  };
  // Orders that may wait at once for the bus to say whose they are.
  static constexpr std::size_t kMostOrders = 4;

  explicit BusObject(Parts parts);
  BusObject(const BusObject&) = delete;
  BusObject& operator=(const BusObject&) = delete;
  ~BusObject();

  // Is there from now on. Call it once. It must outlive what `bus` processes, and `bus` its Tick.
  // Errors: kInternal.
  absl::Status AddTo(SystemBus& bus);

  // Asks for the report anew and tells what has changed, later if the bus has not taken yet what
  // was told before.
  void Tick();

 private:
  struct Callbacks;
  struct Order {
    BusObject& self;
    const std::function<void()>& act;
    sd_bus_message* call;
    sd_bus_slot* question = nullptr;

    Order(BusObject& object, const std::function<void()>& action, sd_bus_message* message);
    Order(const Order&) = delete;
    Order& operator=(const Order&) = delete;
    ~Order();
  };

  void TakeReport();
  int AskWhose(sd_bus_message* call, const std::function<void()>& act);

  const Parts parts_;
  SystemBus* bus_ = nullptr;
  Report report_;
  std::string json_;  // of it; empty: nobody has asked for it yet
  LastErrors last_errors_;
  BusFacts facts_;
  BusFacts told_;
  std::list<Order> orders_;
};

}  // namespace okms

#endif  // OKMS_CONTROL_BUS_OBJECT_H_
