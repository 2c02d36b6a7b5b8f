// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A connection to the system bus, on the event loop.

#ifndef OKMS_CONTROL_SYSTEM_BUS_H_
#define OKMS_CONTROL_SYSTEM_BUS_H_

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "control/event_loop.h"

struct sd_bus;

namespace okms {

// By sd-bus, asynchronously alone: what of it waits, does so by system calls that a running plugin
// may not make, and its own way to use an event loop waits as that ends. It takes one message in a
// turn of the loop, and none while something is still to be written: who calls without reading the
// answers gets no more of them. It takes no descriptors.
//
// A bus that is lost stays lost: the sandbox makes no unix socket.
class SystemBus {
 public:
  // D-Bus's own limit of what a name may have; no call that is served here has a longer text.
  static constexpr std::size_t kLongestName = 255;

  // A socket to the bus at `address`, "unix:path=PATH"; does not wait for the bus. Errors:
  // kInvalidArgument for another kind of address, kNotFound when there is no such socket,
  // kUnavailable.
  static absl::StatusOr<UniqueFd> Connect(absl::string_view address);

  // Says hello; what is sent before the answer is sent after it. sd-bus asks the kernel this and
  // that, so call it before the filter of system calls. `lost` is called once, when there is no bus
  // any more. `loop` must outlive it. Errors: kUnavailable, kInternal.
  static absl::StatusOr<std::unique_ptr<SystemBus>> Start(EventLoop& loop, UniqueFd socket,
                                                          std::function<void(absl::Status)> lost);
  SystemBus(const SystemBus&) = delete;
  SystemBus& operator=(const SystemBus&) = delete;

  // Asks for a name, and waits in the bus's queue for one that another process has. `cede`: to who
  // asks for it without. `answered`: OK when it is ours; kAlreadyExists when it waits;
  // kPermissionDenied and others as the bus says.
  using Answered = std::function<void(const absl::Status&)>;
  void RequestName(const std::string& name, bool cede, Answered answered);

  // For what sd-bus does without waiting; null once the bus is lost. Call Sent after sending.
  sd_bus* get() const { return bus_.get(); }
  void Sent();
  // Whether all that was sent is with the bus.
  bool AllIsWritten() const;

 private:
  struct Close {
    void operator()(sd_bus* bus) const;
  };

  SystemBus(UniqueFd socket, std::function<void(absl::Status)> lost)
      : socket_(std::move(socket)), lost_(std::move(lost)) {}
  void Process();
  struct Callbacks;

  const UniqueFd socket_;  // watched; sd-bus has another hold on it, and closes that as it likes
  const std::function<void(absl::Status)> lost_;
  std::list<Answered> answers_;  // what awaits them, one for each name
  std::unique_ptr<sd_bus, Close> bus_;
  EventLoop::Watch watch_;
  EventLoop::Watch timer_;
};

}  // namespace okms

#endif  // OKMS_CONTROL_SYSTEM_BUS_H_
