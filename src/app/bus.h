// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The plugin's place on the system bus, if there is one.

#ifndef OKMS_APP_BUS_H_
#define OKMS_APP_BUS_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "control/bus_object.h"
#include "control/event_loop.h"
#include "control/system_bus.h"

namespace okms {

struct BusSocket {
  UniqueFd fd;                     // none: there is no bus for us
  std::vector<std::string> names;  // to have there: BusNames
};

// For a service that a manager runs, as a user without rights: whom the bus took for root would be
// root there for as long as it is connected, out of the sandbox's reach. Without a manager it is on
// the bus that DBUS_SYSTEM_BUS_ADDRESS names, if that is set; set to nothing, on none. Waits for
// nobody. Call it before the sandbox.
BusSocket OpenBus(const Logger& log);

// Without a bus, or when it is lost, or does not give the name: a line, and no more.
class Bus {
 public:
  // Call it before the filter of system calls. All must outlive it. Null: there is no bus.
  static std::unique_ptr<Bus> Serve(BusSocket socket, EventLoop& loop, BusObject::Parts parts,
                                    const Logger& log);

  // Tells what has changed, and returns when to call again.
  Deadline Tick();

 private:
  Bus(BusObject::Parts parts, const Logger& log) : log_(log), object_(std::move(parts)) {}
  absl::Status Start(EventLoop& loop, BusSocket socket);

  const Logger& log_;
  BusObject object_;
  std::unique_ptr<SystemBus> bus_;  // goes first
};

}  // namespace okms

#endif  // OKMS_APP_BUS_H_
