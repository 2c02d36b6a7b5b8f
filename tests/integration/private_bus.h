// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A system bus of a test's own, with our policy, and who is on it.

#ifndef OKMS_TESTS_INTEGRATION_PRIVATE_BUS_H_
#define OKMS_TESTS_INTEGRATION_PRIVATE_BUS_H_

#include <sys/types.h>
#include <systemd/sd-bus.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "integration/child_process.h"

namespace okms::test {

// dbus-daemon with the rules that all system buses have. For root.
class PrivateBus {
 public:
  static bool IsInstalled();

  // In `directory`, which all may enter. `plugin_user` takes the place of okms-kms in our policy;
  // empty: without it.
  PrivateBus(const std::string& directory, const std::string& plugin_user);

  const std::string& path() const { return path_; }
  std::string address() const { return "unix:path=" + path_; }
  // For Signal.
  ChildProcess& daemon() { return *daemon_; }

 private:
  const std::string path_;
  std::unique_ptr<ChildProcess> daemon_;
};

// A user who calls the plugin, and waits for the answers. Errors: their names, and what they say.
class BusClient {
 public:
  BusClient(const PrivateBus& bus, uid_t uid);

  sd_bus* get() const { return bus_.get(); }
  // Of the plugin's interface. Answers: the text, if there is one.
  absl::StatusOr<std::string> Call(const std::string& member) const;
  absl::StatusOr<std::string> Call(const std::string& interface, const std::string& member) const;
  // Of the bus itself: the answer to GetNameOwner, empty for none.
  std::string OwnerOf(const std::string& name) const;
  // The value, or all that it holds, with a space between them.
  absl::StatusOr<std::string> Get(const std::string& property) const;
  // For HearsOf.
  void Subscribe() const;
  // Waits for a signal with `part` in what it holds; whether it came.
  bool HearsOf(const std::string& member, const std::string& part) const;

 private:
  struct Close {
    void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
  };

  std::unique_ptr<sd_bus, Close> bus_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_INTEGRATION_PRIVATE_BUS_H_
