// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "config/help_text.h"
#include "ctl/in_use.h"
#include "ctl/subcommand.h"
#include "doctor/checks.h"
#include "doctor/report.h"

namespace okms::ctl {
namespace {

struct Options {
  doctor::Request request;
  Output output = Output::kText;
};

// CLI11 would write what excludes what into the help.
void RefuseBoth(const CLI::App& command, const char* one, const char* other) {
  if (command.count(one) > 0 && command.count(other) > 0) throw CLI::ExcludesError(one, other);
}

int Check(const Options& options) {
  doctor::Examination all(options.request);
  const std::vector<doctor::Finding> findings = doctor::RunChecks(doctor::AllChecks(), all);
  const bool json = options.output == Output::kJson;
  if (!Print(json ? doctor::AsJson(findings) : doctor::AsText(findings))) return kCannotTell;
  return doctor::ExitCodeOf(findings);
}

}  // namespace

void AddCheck(CLI::App& app, Run& run) {
  CLI::App* const command = app.add_subcommand(
      "check", "Look for what is wrong, before or after the start, and say what mends it");
  const auto options = std::make_shared<Options>();
  doctor::Request& request = options->request;
  request.ask_in_use = AskInUse;
  doctor::Source& source = request.source;
  command->add_option("--unit", source.unit,
                      Wrapped("The systemd service whose configuration it is. Default: "
                              "okms-k8s-encryption-provider.service"));
  command->add_option("--env-file", source.environment_file,
                      Wrapped("The file of OKMS_* variables that it is, in place of a unit"));
  command->add_option("--key", request.key_id,
                      Wrapped("Prove the key of this id, and leave the plugin alone"));
  command->add_option(
      "--as", request.as_user,
      Wrapped("Connect to the plugin as this user, too, with all groups; root only"));
  command->add_option("--encryption-config", request.encryption_config,
                      Wrapped("Look at this file of kube-apiserver's, too"));
  AddOutput(*command, options->output);
  command->add_option("FLAGS", source.flags, Wrapped("After --: flags of the plugin, which win"));
  command->callback([command, options, &run] {
    RefuseBoth(*command, "--unit", "--env-file");
    RefuseBoth(*command, "--key", "--as");
    run = [options] { return Check(*options); };
  });
}

}  // namespace okms::ctl
