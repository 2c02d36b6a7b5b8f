// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "ctl/subcommand.h"
#include "doctor/checks.h"
#include "doctor/report.h"

namespace okms::ctl {
namespace {

struct Options {
  doctor::Request request;
  std::string output = "text";
};

int Check(const Options& options) {
  doctor::Examination all(options.request);
  const std::vector<doctor::Finding> findings = doctor::RunChecks(doctor::AllChecks(), all);
  const std::string report =
      options.output == "json" ? doctor::AsJson(findings) : doctor::AsText(findings);
  if (std::fputs(report.c_str(), stdout) < 0 || std::fflush(stdout) != 0) return kCannotTell;
  return doctor::ExitCodeOf(findings);
}

}  // namespace

void AddCheck(CLI::App& app, Run& run) {
  CLI::App* const command = app.add_subcommand(
      "check", "Look for what is wrong, before or after the start, and say what mends it");
  const auto options = std::make_shared<Options>();
  doctor::Request& request = options->request;
  doctor::Source& source = request.source;
  auto* const unit =
      command->add_option("--unit", source.unit, "The systemd service to take the configuration of")
          ->type_name("NAME");
  command
      ->add_option("--env-file", source.environment_file,
                   "A file of OKMS_* variables to take it of")
      ->type_name("FILE")
      ->excludes(unit);
  auto* const key = command->add_option("--key", request.key_id,
                                        "Prove this key instead, and leave the plugin alone");
  key->type_name("ID");
  command
      ->add_option("--as", request.as_user,
                   "Connect to the plugin as this user, with all groups (root only)")
      ->type_name("USER")
      ->excludes(key);
  command
      ->add_option("--encryption-config", request.encryption_config,
                   "kube-apiserver's file, to check as well")
      ->type_name("FILE");
  command->add_option("-o,--output", options->output, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  command->add_option("FLAGS", source.flags, "After --: flags of the plugin, which win");
  command->callback([options, &run] { run = [options] { return Check(*options); }; });
}

}  // namespace okms::ctl
