// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The command line of okms-bench.

#ifndef OKMS_TESTS_BENCH_OPTIONS_H_
#define OKMS_TESTS_BENCH_OPTIONS_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

namespace okms::test {

struct Options {
  std::string socket;
  std::string operation = "decrypt";
  std::size_t clients = 1;
  std::size_t connections = 1;
  double seconds = 5;
  std::size_t beside = 0;     // further clients, that call Decrypt meanwhile
  std::size_t records = 256;  // of a herd and a cold start
  std::size_t in_flight = 0;  // of a cold start; 0: all at once
  std::optional<pid_t> kms;
  bool stop_kms = false;
  std::chrono::milliseconds timeout{10'000};
  std::vector<std::string> command;  // starts the plugin

  std::string other;  // the socket of a second plugin, to be compared with the first; empty: alone
  std::vector<std::string> other_command;
  int rounds = 3;
  bool markdown = false;

  // What of these the figures depend on, for the result.
  nlohmann::json Settings() const;
};

// The options, or the exit status where the command line leaves nothing to do or is wrong; what
// there is to say to it has then been said.
std::variant<Options, int> ParseOptions(int argc, char** argv);

}  // namespace okms::test

#endif  // OKMS_TESTS_BENCH_OPTIONS_H_
