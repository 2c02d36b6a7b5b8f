// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <signal.h>

#include <atomic>
#include <latch>

#include "absl/time/time.h"
#include "bench/crew.h"
#include "bench/measure.h"
#include "bench/meter.h"
#include "bench/plugin.h"
#include "bench/process.h"

namespace okms::test {
namespace {

absl::Status Call(const std::string& operation, KmsClient& client, const Seed& seed) {
  if (operation == "status") return client.Status().status();
  if (operation == "encrypt") return client.Encrypt(seed.plaintext).status();
  return Decrypt(client, seed);
}

// While it lives, SIGTERM is kept for Wait, in this thread and those that it starts.
class Term {
 public:
  Term() {
    ::sigemptyset(&term_);
    ::sigaddset(&term_, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &term_, &before_);
  }
  Term(const Term&) = delete;
  Term& operator=(const Term&) = delete;
  ~Term() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  // Until it comes, or for so long.
  void Wait(double seconds) const {
    const timespec time = absl::ToTimespec(absl::Seconds(seconds));
    ::sigtimedwait(&term_, nullptr, &time);
  }

 private:
  sigset_t term_{};
  sigset_t before_{};
};

}  // namespace

nlohmann::json Load(const Options& options) {
  const Term term;
  Plugin plugin(options.socket, options.connections, options.timeout);
  const std::vector<Seed> seeds = plugin.MakeSeeds(options.clients + options.beside);
  std::atomic<bool> stop = false;
  std::latch gate(1);
  const auto work = [&](const std::string& operation, std::size_t first) -> Crew::Work {
    return [&, operation, first](std::size_t member, Sample& sample) {
      const std::size_t number = first + member;
      while (!stop) {
        sample.Time([&] { return Call(operation, plugin.client(number), seeds[number]); });
      }
    };
  };
  Crew clients(gate, options.clients, work(options.operation, 0));
  Crew others(gate, options.beside, work("decrypt", options.clients));

  const Stopped kms(options.stop_kms ? options.kms : std::nullopt);
  const Meter meter(plugin.process(), options.kms);
  gate.count_down();
  term.Wait(options.seconds);
  stop = true;
  const Sample sample = clients.Join();
  nlohmann::json figures = meter.Read(sample.calls());
  figures.update(sample.ToJson());
  if (const Sample beside = others.Join(); options.beside > 0) figures["beside"] = beside.ToJson();
  return figures;
}

}  // namespace okms::test
