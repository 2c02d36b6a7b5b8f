// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which files the process may read, and where it may connect: Landlock (landlock(7)).

#ifndef OKMS_SANDBOX_LANDLOCK_H_
#define OKMS_SANDBOX_LANDLOCK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace okms::sandbox {

// All that is not named here is forbidden, as far as the kernel's Landlock knows it.
struct Reach {
  // Files that are read again while the process runs. Landlock knows files, not names, and such
  // files are replaced by new ones (resolv.conf with each lease, hosts by each editor): reading is
  // granted in the directory that holds the name and in the one that holds what it links to, but
  // listing them is not. A device is granted itself.
  std::vector<std::string> files;
  // The same, of files that are the plugin's own: one that is not there now grants nothing, since
  // the folder above its own is somebody else's.
  std::vector<std::string> own_files = {};
  std::vector<uint16_t> tcp_ports;  // to connect to; none can be bound
};

// Restricts the thread, and those that it starts later, for ever: call it before there are others.
// "No new privileges" must be set. Returns the kernel's Landlock ABI, whose level decides what is
// enforced; 0: the kernel has none, and nothing is.
//
//   1  files: reading as in Reach; no writing, creating, removing, executing or listing
//   2  ... nor moving between directories
//   3  ... nor truncating
//   4  TCP: connecting as in Reach, no binding
//   5  no ioctl(2) on devices
//   6  no signal to, and no connection to an abstract unix socket of, a process outside
//
// Errors: kFailedPrecondition, one line: the kernel has Landlock but did not take the rules.
absl::StatusOr<int> RestrictReach(const Reach& reach);

// "Landlock ABI 7", or that the kernel has none. For the log and the state.
std::string DescribeLandlock(int abi);

}  // namespace okms::sandbox

#endif  // OKMS_SANDBOX_LANDLOCK_H_
