// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>

#include "bench/measure.h"
#include "bench/process.h"
#include "support/kms_client.h"

namespace okms::test {

nlohmann::json Start(const Options& options) {
  std::vector<char*> argv;
  for (const std::string& word : options.command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const auto began = std::chrono::steady_clock::now();
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(STDERR_FILENO, STDOUT_FILENO);  // where the figures go
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  const auto milliseconds = [&] {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began)
        .count();
  };
  while (!Connect(options.socket) && milliseconds() < 10'000) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));  // the resolution of the figure
  }
  const double connected = milliseconds();
  KmsClient client(options.socket, {.timeout = options.timeout});
  const auto status = client.Status();
  const double answered = milliseconds();
  const nlohmann::json memory = Memory(child);
  ::kill(child, SIGTERM);
  ::waitpid(child, nullptr, 0);
  if (!status.ok()) throw std::runtime_error(status.status().ToString());
  return {{"listening_ms", connected}, {"first_answer_ms", answered}, {"memory", memory}};
}

}  // namespace okms::test
