// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>

#include "ctl/subcommand.h"

namespace okms::ctl {
namespace {

TEST(AuditTest, LeavesNoCoreFile) {
  ASSERT_EQ(::prctl(PR_GET_DUMPABLE), 1);
  CLI::App app;
  ctl::Run run;
  AddAudit(app, run);
  app.parse("audit --snapshot /nowhere/backup.db");
  ASSERT_TRUE(run);
  EXPECT_EQ(run(), kCannotTell);
  EXPECT_EQ(::prctl(PR_GET_DUMPABLE), 0);
  ::prctl(PR_SET_DUMPABLE, 1);
}

}  // namespace
}  // namespace okms::ctl
