// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "bench/options.h"

#include <algorithm>
#include <iostream>

#include <CLI/CLI.hpp>

#include "absl/time/time.h"

namespace okms::test {
namespace {

constexpr char kSeparator[] = "--";

// A second "--" begins the other plugin's command.
void SplitCommand(Options& options) {
  const auto end = std::find(options.command.begin(), options.command.end(), kSeparator);
  if (end == options.command.end()) return;
  options.other_command.assign(end + 1, options.command.end());
  options.command.erase(end, options.command.end());
}

// What CLI11 cannot see; empty when all is well.
std::string Mistake(const Options& options) {
  if ((options.operation == "start") == options.command.empty()) {
    return "start, and nothing else, wants a COMMAND";
  }
  if (options.command.empty()) return "";
  if (options.other.empty() != options.other_command.empty()) {
    return "start with --other, and only that, wants two COMMANDs with -- between them";
  }
  return "";
}

}  // namespace

nlohmann::json Options::Settings() const {
  nlohmann::json settings = {{"operation", operation}};
  if (operation == "start") return settings;
  settings["connections"] = connections;
  if (operation == "herd" || operation == "cold") {
    settings["records"] = records;
    if (operation == "cold") settings["in_flight"] = in_flight == 0 ? records : in_flight;
  } else {
    settings["clients"] = clients;
    settings["clients_beside"] = beside;
  }
  settings["kms_stopped"] = stop_kms;
  return settings;
}

std::variant<Options, int> ParseOptions(int argc, char** argv) {
  Options options;
  std::string timeout = "10s";
  CLI::App app("Load on a KMS v2 socket, and what it costs", "okms-bench");
  app.add_option("--sock", options.socket, "Path of the plugin's socket, or @name")->required();
  app.add_option("--op", options.operation,
                 "What to measure: calls of one kind without pause for some seconds; herd: that "
                 "many records decrypted all at once, with Status and Encrypt beside; cold: that "
                 "many records decrypted once each; start: of COMMAND, up to the first answer")
      ->check(CLI::IsMember({"status", "encrypt", "decrypt", "herd", "cold", "start"}))
      ->capture_default_str();
  app.add_option("--clients", options.clients, "Calls under way at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--connections", options.connections, "Connections that the calls share")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "How long at most; SIGTERM ends it sooner")
      ->check(CLI::Range(0.1, 600.0))
      ->capture_default_str();
  app.add_option("--beside", options.beside, "Further clients, which call Decrypt meanwhile")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--records", options.records, "Distinct records of herd and cold")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--in-flight", options.in_flight,
                 "Calls under way at a time in a cold start; 0: all at once")
      ->check(CLI::Range(0, 10'000))
      ->capture_default_str();
  app.add_option("--timeout", timeout, "Bound of a call")->capture_default_str();
  CLI::Option* kms =
      app.add_option("--kms", options.kms, "Process of the KMS, to see its CPU time");
  app.add_flag("--stop-kms", options.stop_kms,
               "Stop that process (SIGSTOP) while it is measured; errors are then expected")
      ->needs(kms);
  CLI::Option* other = app.add_option(
      "--other", options.other, "Socket of a second plugin, to be measured in turn with the first");
  app.add_option("--rounds", options.rounds, "How often each of both is measured")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_flag("--markdown", options.markdown, "Print the comparison as a table, too")
      ->needs(other);
  app.add_option("COMMAND", options.command,
                 "After --: the plugin and its flags; after one more --: those of the other");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  SplitCommand(options);
  std::string mistake = Mistake(options);
  absl::Duration duration;
  if (!absl::ParseDuration(timeout, &duration) || duration <= absl::ZeroDuration()) {
    mistake = "--timeout: give a duration, for example 3s";
  }
  if (!mistake.empty()) {
    std::cerr << "okms-bench: " << mistake << std::endl;
    return 2;
  }
  options.timeout = absl::ToChronoMilliseconds(duration);
  return options;
}

}  // namespace okms::test
