// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// okms-bench: load on a KMS v2 socket, and what it costs the process that serves it.
//
//   okms-bench --sock SOCKET --op decrypt --clients 64 --seconds 5
//   okms-bench --sock SOCKET --start -- PLUGIN FLAGS...
//
// Each client is a thread with one call under way at a time. Prints one JSON object: calls a
// second, latency percentiles, and, of the process that listens on the socket (found by the socket
// itself), CPU time a call and memory. With --start it runs the plugin itself and measures the time
// from there to the first answer to Status; a plugin that does not answer within ten seconds is a
// failure.

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "support/kms_client.h"

namespace okms::test {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;
using std::chrono::duration_cast;
using std::chrono::microseconds;

struct Flags {
  std::string socket;
  std::string operation = "decrypt";
  int clients = 1;
  int connections = 1;
  double seconds = 5;
  bool start = false;
  std::vector<std::string> command;
};

// A connection to the socket itself; empty when nobody listens.
UniqueFd Connect(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const bool abstract = address.sun_path[0] == '@';
  if (abstract) address.sun_path[0] = '\0';
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0)
    return UniqueFd();
  return fd;
}

// Who made the listening socket.
pid_t ServerOf(const std::string& path) {
  const UniqueFd fd = Connect(path);
  ucred peer{};
  socklen_t size = sizeof peer;
  if (!fd || ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    throw std::runtime_error(absl::StrCat("nobody listens on ", path));
  }
  return peer.pid;
}

// User and system time of all threads (proc(5), stat fields 14 and 15).
microseconds CpuTime(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 3; i < 14; ++i) fields >> skipped;
  long user = 0;
  long system = 0;
  fields >> user >> system;
  return microseconds((user + system) * 1'000'000 / ::sysconf(_SC_CLK_TCK));
}

// The memory lines of proc(5) status, in kB.
json Memory(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  json memory;
  std::string name;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    long value = 0;
    fields >> name >> value;
    if (name == "VmRSS:") memory["resident_kb"] = value;
    if (name == "VmHWM:") memory["resident_peak_kb"] = value;
    if (name == "RssAnon:") memory["anonymous_kb"] = value;
    if (name == "Threads:") memory["threads"] = value;
  }
  return memory;
}

double Percentile(const std::vector<microseconds>& sorted, double part) {
  if (sorted.empty()) return 0;
  const auto index = static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1));
  return static_cast<double>(sorted[index].count()) / 1000;
}

json Load(const Flags& flags) {
  const pid_t server = ServerOf(flags.socket);
  std::vector<std::unique_ptr<KmsClient>> connections;
  for (int i = 0; i < std::max(flags.connections, 1); ++i) {
    connections.push_back(std::make_unique<KmsClient>(
        flags.socket, KmsClient::Options{.timeout = std::chrono::seconds(10)}));
  }
  const std::string seed(32, 's');
  const auto record = connections.front()->Encrypt(seed);
  if (!record.ok()) throw std::runtime_error(record.status().ToString());

  std::atomic<bool> stop = false;
  std::mutex mutex;
  std::map<std::string, long> errors;  // by what was said; guarded by the mutex
  std::vector<std::vector<microseconds>> latencies(static_cast<std::size_t>(flags.clients));
  std::vector<std::thread> threads;
  const auto cpu_before = CpuTime(server);
  const auto began = Clock::now();
  for (std::size_t i = 0; i < latencies.size(); ++i) {
    threads.emplace_back([&, i] {
      KmsClient& client = *connections[i % connections.size()];
      while (!stop) {
        const auto start = Clock::now();
        absl::Status outcome;
        if (flags.operation == "status") {
          outcome = client.Status().status();
        } else if (flags.operation == "encrypt") {
          outcome = client.Encrypt(seed).status();
        } else {
          const auto plaintext = client.Decrypt(*record);
          outcome = plaintext.status();
          if (plaintext.ok() && *plaintext != seed) outcome = absl::DataLossError("another seed");
        }
        latencies[i].push_back(duration_cast<microseconds>(Clock::now() - start));
        if (outcome.ok()) continue;
        const std::lock_guard lock(mutex);
        ++errors[outcome.ToString()];
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(flags.seconds));  // the load's length
  stop = true;
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> took = Clock::now() - began;
  const auto cpu = CpuTime(server) - cpu_before;

  std::vector<microseconds> all;
  for (const auto& some : latencies) all.insert(all.end(), some.begin(), some.end());
  std::sort(all.begin(), all.end());
  const auto calls = static_cast<double>(all.size());
  long failed = 0;
  for (const auto& [said, times] : errors) failed += times;
  return {{"operation", flags.operation},
          {"clients", flags.clients},
          {"connections", connections.size()},
          {"seconds", took.count()},
          {"calls", all.size()},
          {"errors", failed},
          {"errors_by_text", errors},
          {"per_second", calls / took.count()},
          {"latency_ms",
           {{"p50", Percentile(all, 0.5)},
            {"p90", Percentile(all, 0.9)},
            {"p99", Percentile(all, 0.99)},
            {"p99.9", Percentile(all, 0.999)},
            {"max", Percentile(all, 1)}}},
          {"cpu_us_per_call", static_cast<double>(cpu.count()) / calls},
          {"memory", Memory(server)}};
}

json Start(const Flags& flags) {
  std::vector<char*> argv;
  for (const std::string& word : flags.command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const auto began = Clock::now();
  const pid_t child = ::fork();
  if (child == 0) {
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  const auto milliseconds = [&] {
    return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
  };
  while (!Connect(flags.socket) && milliseconds() < 10'000) {
    std::this_thread::sleep_for(microseconds(100));  // the resolution of what is measured
  }
  const double connected = milliseconds();
  KmsClient client(flags.socket, {.timeout = std::chrono::seconds(10)});
  const auto status = client.Status();
  const double answered = milliseconds();
  const json memory = Memory(child);
  ::kill(child, SIGTERM);
  ::waitpid(child, nullptr, 0);
  if (!status.ok()) throw std::runtime_error(status.status().ToString());
  return {{"operation", "start"},
          {"listening_ms", connected},
          {"first_answer_ms", answered},
          {"memory", memory}};
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Load on a KMS v2 socket", "okms-bench");
  app.add_option("--sock", flags.socket, "Path of the socket, or @name")->required();
  app.add_option("--op", flags.operation, "What to call")
      ->check(CLI::IsMember({"status", "encrypt", "decrypt"}))
      ->capture_default_str();
  app.add_option("--clients", flags.clients, "Calls under way at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--connections", flags.connections, "Connections that the clients share")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--seconds", flags.seconds, "How long")
      ->check(CLI::Range(0.1, 600.0))
      ->capture_default_str();
  app.add_flag("--start", flags.start, "Measure the start of COMMAND instead");
  app.add_option("COMMAND", flags.command, "The plugin and its flags, after --");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (flags.start && flags.command.empty()) throw std::runtime_error("--start wants a COMMAND");
  const json result = flags.start ? Start(flags) : Load(flags);
  std::cout << result.dump() << std::endl;
  return result.value("errors", 0) == 0 ? 0 : 1;
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
