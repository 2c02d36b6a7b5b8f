// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <cstdio>

#include <CLI/CLI.hpp>

#include "ctl/subcommand.h"

namespace okms::ctl {

void AddStatus(CLI::App& app, Run& run) {
  CLI::App* const command = app.add_subcommand("status", "Say how the plugin is");
  command->callback([&run] {
    run = [] {
      std::fputs("okms-kms-ctl: status asks nobody yet\n", stderr);
      return kCannotTell;
    };
  });
}

}  // namespace okms::ctl
