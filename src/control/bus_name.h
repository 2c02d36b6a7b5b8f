// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the plugin is called on the system bus.

#ifndef OKMS_CONTROL_BUS_NAME_H_
#define OKMS_CONTROL_BUS_NAME_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace okms {

// OKMS_BUS_NAME of CMake: the interface, a name on the bus, and the beginning of the others.
extern const char kBusInterface[];

// Where the object is, with each instance the same: the interface with slashes for dots.
std::string BusPath();

// The names of a process, its own last. All have kBusInterface, of which the bus gives it to one
// and has the others wait: by it a machine's only plugin is found, and the bus's policy knows all
// of them. Instance NAME of a template unit has kBusInterface.NAME besides, where NAME is written
// as by sd_bus_path_encode(3). `cgroup` is the text of /proc/self/cgroup, which ends with the name
// of the unit: cgroups(7).
std::vector<std::string> BusNames(absl::string_view cgroup);

}  // namespace okms

#endif  // OKMS_CONTROL_BUS_NAME_H_
