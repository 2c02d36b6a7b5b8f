// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "bench/plugin.h"

#include <algorithm>
#include <atomic>
#include <latch>
#include <stdexcept>
#include <thread>

#include "absl/strings/str_format.h"
#include "bench/crew.h"
#include "bench/process.h"

namespace okms::test {
namespace {

constexpr std::size_t kMakers = 8;  // side by side

std::string Plaintext(std::size_t number) { return absl::StrFormat("%032d", number); }

// Until it works.
absl::Status Recover(KmsClient& client) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (true) {
    const auto record = client.Encrypt(Plaintext(0));
    if (record.ok() || std::chrono::steady_clock::now() > deadline) return record.status();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // it gets better with time alone
  }
}

}  // namespace

absl::Status Decrypt(KmsClient& client, const Seed& seed) {
  const auto plaintext = client.Decrypt(seed.record);
  if (!plaintext.ok()) return plaintext.status();
  return *plaintext == seed.plaintext ? absl::OkStatus() : absl::DataLossError("another seed");
}

Plugin::Plugin(const std::string& socket, std::size_t connections,
               std::chrono::milliseconds timeout)
    : process_(ServerOf(socket)) {
  for (std::size_t i = 0; i < connections; ++i) {
    clients_.push_back(std::make_unique<KmsClient>(socket, KmsClient::Options{.timeout = timeout}));
  }
}

std::vector<Seed> Plugin::MakeSeeds(std::size_t count) {
  if (const absl::Status status = Recover(client(0)); !status.ok()) {
    throw std::runtime_error(status.ToString());
  }
  std::vector<Seed> seeds(count);
  std::atomic<std::size_t> next = 0;
  std::latch gate(1);
  Crew makers(gate, std::min(kMakers, count), [&](std::size_t member, Sample& sample) {
    for (std::size_t i = next++; i < count; i = next++) {
      sample.Time([&] {
        seeds[i].plaintext = Plaintext(i);
        auto record = client(member).Encrypt(seeds[i].plaintext);
        if (record.ok()) seeds[i].record = *std::move(record);
        return record.status();
      });
    }
  });
  gate.count_down();
  const nlohmann::json made = makers.Join().ToJson();
  if (made["errors"] != 0) throw std::runtime_error(made["errors_by_text"].dump());
  return seeds;
}

}  // namespace okms::test
