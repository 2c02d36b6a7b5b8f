// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A machine of the test's own, as far as names and the network go.

#ifndef OKMS_TESTS_INTEGRATION_PRIVATE_MACHINE_H_
#define OKMS_TESTS_INTEGRATION_PRIVATE_MACHINE_H_

#include <string>

#include "support/temp_dir.h"

namespace okms::test {

// From the constructor on this process, and those it starts, have a loopback interface with nothing
// on it and no other, and an /etc of their own: a copy, in which files can be replaced. Make it
// before there are other threads; it lasts until the process ends. For root.
class PrivateMachine {
 public:
  PrivateMachine();

  // Why there is none, for OKMS_REQUIRE_OR_SKIP; empty: there is.
  const std::string& missing() const { return missing_; }

  // Replaces a file by renaming another one, as editors and DHCP clients do. For a path in /etc.
  static void Replace(const std::string& path, const std::string& content);

 private:
  TempDir mount_point_;
  std::string missing_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_INTEGRATION_PRIVATE_MACHINE_H_
