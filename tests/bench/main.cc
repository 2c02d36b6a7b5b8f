// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// okms-bench: load on a KMS v2 socket, and what it costs the process that serves it.
//
//   okms-bench --sock SOCKET --op decrypt --clients 64 --seconds 5
//   okms-bench --sock SOCKET --op cold --records 1000 --in-flight 16
//   okms-bench --sock SOCKET --op start -- PLUGIN FLAGS...
//   okms-bench --sock SOCKET --other SOCKET --op herd --rounds 5 --markdown
//
// Each client is a thread with one call under way at a time. Prints one JSON object: time, calls a
// second, latency percentiles, CPU time a call, and memory of the process that listens on the
// socket, which is found by the socket itself. With --other it measures two plugins in turn, and
// adds medians and ratios. Exit status 1: a call failed, or nothing could be measured; 2: a wrong
// command line.

#include <exception>
#include <iostream>
#include <variant>

#include "bench/comparison.h"
#include "bench/measure.h"

namespace okms::test {
namespace {

using nlohmann::json;

json Measure(const Options& options) {
  if (options.operation == "herd") return Herd(options);
  if (options.operation == "cold") return ColdStart(options);
  if (options.operation == "start") return Start(options);
  return Load(options);
}

json MeasureBoth(const Options& options) {
  Options other = options;
  other.socket = options.other;
  other.command = options.other_command;
  return Compare(
      options.rounds, [&] { return Measure(options); }, [&] { return Measure(other); });
}

int Main(int argc, char** argv) {
  const std::variant<Options, int> parsed = ParseOptions(argc, argv);
  if (const int* status = std::get_if<int>(&parsed)) return *status;
  const Options& options = std::get<Options>(parsed);
  json result = options.Settings();
  result.update(options.other.empty() ? Measure(options) : MeasureBoth(options));
  std::cout << result.dump() << std::endl;
  if (options.markdown) std::cout << '\n' << MarkdownTable(result);
  return !options.stop_kms && HasErrors(result) ? 1 : 0;
}

}  // namespace
}  // namespace okms::test

int main(int argc, char** argv) {
  try {
    return okms::test::Main(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "okms-bench: " << error.what() << std::endl;
    return 1;
  }
}
