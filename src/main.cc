// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// From the command line to the exit status. What is wrong with the configuration ends the process
// here, with a line for each mistake.

#include <cstdlib>
#include <exception>
#include <string>
#include <variant>
#include <vector>

#include "app/check_config.h"
#include "app/command_line.h"
#include "app/process.h"
#include "app/run.h"
#include "app/service_state.h"
#include "app/signals.h"
#include "base/log.h"
#include "base/log_queue.h"
#include "base/recent_events.h"
#include "config/environment.h"

namespace okms {
namespace {

int Main(const std::vector<std::string>& argv) {
  LimitArenas();
  const std::vector<std::string> cleared = ClearEnvironment();
  if (const absl::Status status = BlockSignals(); !status.ok()) {
    Logger(false).Error(EventName::kEnded, std::string(status.message()));
    return kRunTimeError;
  }
  const std::variant<Config, int> read = ReadCommandLine(argv);
  if (const int* code = std::get_if<int>(&read)) return *code;
  const Config& config = std::get<Config>(read);
  LogQueue log_queue(StandardError(config.log_format));
  RecentEvents recent;
  const Logger log(config.debug, recent.Before(log_queue.sink()));
  NoticeCleared(cleared, log);
  log.Warnings(EventName::kConfigurationWarning, config.warnings);
  QuietLibraries();
  if (config.check_only) return CheckConfig(config, log) ? EXIT_SUCCESS : kRunTimeError;
  ServiceState state;
  log.WarnIfError(EventName::kStartWarning, state.unreachable());
  const absl::Status status = Run(config, log_queue, recent, log, state);
  if (status.ok()) return EXIT_SUCCESS;
  log.Error(EventName::kEnded, std::string(status.message()));
  state.Ended(status);
  return kRunTimeError;
}

}  // namespace
}  // namespace okms

int main(int argc, char** argv) {
  try {
    return okms::Main({argv, argv + argc});
  } catch (const std::exception& error) {  // out of memory, for one
    okms::Logger(false).Error(okms::EventName::kEnded, error.what());
    return okms::kRunTimeError;
  }
}
