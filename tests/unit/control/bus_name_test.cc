// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/bus_name.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace okms {
namespace {

// The name that is an instance's own, without the beginning; "" for none.
std::string Own(const std::string& cgroup) {
  const std::vector<std::string> names = BusNames(cgroup);
  EXPECT_EQ(names.front(), kBusInterface);
  EXPECT_LE(names.size(), 2U);
  return names.back().substr(std::string(kBusInterface).size());
}

TEST(BusNames, OfAnInstanceIsItsOwn) {
  EXPECT_EQ(Own("0::/system.slice/system-okms.slice/okms-k8s-encryption-provider@main.service\n"),
            ".main");
  // cgroup v1, where one line is the service manager's.
  EXPECT_EQ(Own("4:memory:/\n1:name=systemd:/system.slice/kms@b.service\n"), ".b");
}

TEST(BusNames, HoldsWhatANameMayHold) {
  EXPECT_EQ(Own("0::/a/kms@a.b-c.service\n"), ".a_2eb_2dc");
  EXPECT_EQ(Own("0::/a/kms@1.service\n"), "._31");
  EXPECT_EQ(Own("0::/a/kms@a@b.service\n"), ".a_40b");
}

TEST(BusNames, WithoutAnInstance) {
  for (const std::string cgroup :
       {"", "\n", "0::/", "0::/system.slice/okms-k8s-encryption-provider.service\n",
        "0::/system.slice/kms@.service\n", "0::/user.slice/user@0.service/app.slice/run-u1.scope\n",
        "0::/user@0.service/kms.service\n", "garbage"}) {
    EXPECT_EQ(Own(cgroup), "") << cgroup;
  }
}

TEST(BusPath, IsTheInterfaceWithSlashes) {
  EXPECT_EQ(BusPath().front(), '/');
  EXPECT_EQ(BusPath().find('.'), std::string::npos);
  EXPECT_EQ(BusPath().size(), std::string(kBusInterface).size() + 1);
}

}  // namespace
}  // namespace okms
