// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/bus_name.h"

#include <systemd/sd-bus.h>

#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace okms {
namespace {

// Empty: none.
std::string InstanceOf(absl::string_view cgroup) {
  for (absl::string_view line : absl::StrSplit(cgroup, '\n')) {
    absl::string_view unit = line.substr(line.rfind('/') + 1);
    const std::size_t at = unit.find('@');
    if (at == absl::string_view::npos || !absl::ConsumeSuffix(&unit, ".service")) continue;
    return std::string(unit.substr(at + 1));
  }
  return "";
}

}  // namespace

const char kBusInterface[] = OKMS_BUS_NAME;

std::string BusPath() {
  return absl::StrCat("/", absl::StrReplaceAll(kBusInterface, {{".", "/"}}));
}

std::vector<std::string> BusNames(absl::string_view cgroup) {
  std::vector<std::string> names{kBusInterface};
  const std::string instance = InstanceOf(cgroup);
  char* encoded = nullptr;  // "/NAME"
  if (!instance.empty() && sd_bus_path_encode("/", instance.c_str(), &encoded) >= 0) {
    const std::unique_ptr<char, decltype(&std::free)> owned(encoded, std::free);
    names.push_back(absl::StrCat(kBusInterface, ".", encoded + 1));
  }
  return names;
}

}  // namespace okms
