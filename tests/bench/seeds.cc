// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What an apiserver asks for when it starts: each seed in etcd once.

#include <algorithm>
#include <atomic>
#include <functional>
#include <latch>
#include <thread>

#include "bench/crew.h"
#include "bench/measure.h"
#include "bench/meter.h"
#include "bench/plugin.h"
#include "bench/process.h"

namespace okms::test {
namespace {

// The call again and again, one each `pause`, until `stop`.
Crew::Work Steadily(const std::atomic<bool>& stop, std::chrono::milliseconds pause,
                    std::function<absl::Status()> call) {
  return [&stop, pause, call = std::move(call)](std::size_t, Sample& sample) {
    auto next = std::chrono::steady_clock::now();
    do {
      sample.Time(call);
      next = std::max(next + pause, std::chrono::steady_clock::now());
      std::this_thread::sleep_until(next);  // the pace
    } while (!stop);
  };
}

}  // namespace

nlohmann::json Herd(const Options& options) {
  Plugin plugin(options.socket, options.connections, options.timeout);
  const std::vector<Seed> seeds = plugin.MakeSeeds(options.records);
  std::atomic<bool> stop = false;
  std::latch gate(1);
  Crew herd(gate, seeds.size(), [&](std::size_t member, Sample& sample) {
    sample.Time([&] { return Decrypt(plugin.client(member), seeds[member]); });
  });
  Crew status(gate, 1, Steadily(stop, std::chrono::milliseconds(10), [&] {
                return plugin.client(0).Status().status();
              }));
  Crew encrypt(gate, 1, Steadily(stop, std::chrono::milliseconds(100), [&] {
                 return plugin.client(0).Encrypt(seeds[0].plaintext).status();
               }));

  const Stopped kms(options.stop_kms ? options.kms : std::nullopt);
  const Meter meter(plugin.process(), options.kms);
  gate.count_down();
  const Sample sample = herd.Join();
  nlohmann::json figures = meter.Read(sample.calls());
  stop = true;
  figures.update(sample.ToJson());
  figures["status"] = status.Join().ToJson();
  figures["encrypt"] = encrypt.Join().ToJson();
  return figures;
}

nlohmann::json ColdStart(const Options& options) {
  Plugin plugin(options.socket, options.connections, options.timeout);
  const std::vector<Seed> seeds = plugin.MakeSeeds(options.records);
  const std::size_t in_flight = options.in_flight == 0 ? seeds.size() : options.in_flight;
  std::atomic<std::size_t> next = 0;
  std::latch gate(1);
  Crew readers(gate, std::min(in_flight, seeds.size()), [&](std::size_t member, Sample& sample) {
    for (std::size_t i = next++; i < seeds.size(); i = next++) {
      sample.Time([&] { return Decrypt(plugin.client(member), seeds[i]); });
    }
  });

  const Stopped kms(options.stop_kms ? options.kms : std::nullopt);
  const Meter meter(plugin.process(), options.kms);
  gate.count_down();
  const Sample sample = readers.Join();
  nlohmann::json figures = meter.Read(sample.calls());
  figures.update(sample.ToJson());
  return figures;
}

}  // namespace okms::test
