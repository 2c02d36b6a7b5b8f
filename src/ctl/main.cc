// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// okms-kms-ctl, the program beside the plugin: it looks, and says what it sees.

#include <stdlib.h>

#include <exception>
#include <optional>

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "config/help_text.h"
#include "config/wrong_argument.h"
#include "ctl/subcommand.h"
#include "version.h"

namespace okms::ctl {
namespace {

int Main(int argc, char** argv) {
  QuietLibraries();
  // What gRPC would write about a handshake comes in our own line.
  ::setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  CLI::App app{"Look after okms-k8s-encryption-provider", "okms-kms-ctl"};
  app.get_formatter()->column_width(kDescription);
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.set_version_flag("--version", kVersion, "Print the version and exit");
  app.require_subcommand(1);
  Run run;
  for (AddSubcommand* const add :
       {AddStatus, AddCheck, AddAudit, AddEncryptionConfig, AddBugReport}) {
    add(app, run);
  }
  const std::optional<int> done = ReadCommandLine(app, argc, argv, kUsageError);
  return done ? *done : run();
}

}  // namespace
}  // namespace okms::ctl

int main(int argc, char** argv) {
  try {
    return okms::ctl::Main(argc, argv);
  } catch (const std::exception& error) {  // out of memory, for one
    okms::ctl::Complain(error.what());
    return okms::ctl::kCannotTell;
  }
}
