// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/guarded.h"
#include "conformance/cases.h"
#include "conformance/target.h"
#include "core/limits.h"

namespace okms::conformance {
namespace {

constexpr int kAtOnce = 64;
constexpr int kManyCalls = 1000;
constexpr int kEachDecrypt = 10;  // of many calls
constexpr int kManyConnections = 32;
constexpr int kAfterwards = 10;
constexpr milliseconds kShort{5};

// Calls `each(i)` for each i below `count`, all at once. The first that is broken, and how many.
Verdict AllAtOnce(int count, const std::function<Verdict(int)>& each) {
  Guarded<std::vector<Verdict>> broken;
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      const Verdict verdict = each(i);
      if (verdict.outcome == Outcome::kKept) return;
      broken.With([&](std::vector<Verdict>& all) { all.push_back(verdict); });
    });
  }
  for (std::thread& thread : threads) thread.join();
  return broken.With([&](const std::vector<Verdict>& all) {
    if (all.empty()) return Kept();
    return Broken(absl::StrCat(all.size(), " of ", count, " at once: ", all.front().line));
  });
}

Verdict RoundTrip(KmsClient& client, int number) {
  const std::string plaintext = NewPlaintext(kSeedSize);
  const std::string uid = absl::StrCat("uid-", number);
  const auto record = client.Encrypt(plaintext, uid);
  if (!record.ok()) return Broken(absl::StrCat("Encrypt: ", Words(record.status())));
  const auto back = client.Decrypt(*record, uid);
  if (!back.ok()) return Broken(absl::StrCat("Decrypt: ", Words(back.status())));
  return *back == plaintext ? Kept() : Broken("decrypted to something else");
}

// One round trip after the other, for longer than what was begun before may take.
Verdict AllIsWell(Target& target, absl::string_view when) {
  for (int i = 0; i < kAfterwards; ++i) {
    const Verdict verdict = RoundTrip(target.client(), i);
    if (verdict.outcome != Outcome::kKept) return Broken(absl::StrCat(when, ": ", verdict.line));
  }
  return Kept();
}

}  // namespace

Verdict LookAtCallsAtOnce(Target& target) {
  return AllAtOnce(kAtOnce, [&](int i) { return RoundTrip(target.client(), i); });
}

Verdict LookAtEqualCallsAtOnce(Target& target) {
  const std::string plaintext = NewPlaintext(kSeedSize);
  const auto record = target.client().Encrypt(plaintext);
  if (!record.ok()) return Unknown(absl::StrCat("Encrypt: ", Words(record.status())));
  return AllAtOnce(kAtOnce, [&](int) {
    const auto back = target.client().Decrypt(*record);
    if (!back.ok()) return Broken(Words(back.status()));
    return *back == plaintext ? Kept() : Broken("decrypted to something else");
  });
}

Verdict LookAtManyCalls(Target& target) {
  for (int i = 0; i < kManyCalls; ++i) {
    const std::string which = absl::StrCat("call ", i + 1, " of ", kManyCalls, ": ");
    if (i % kEachDecrypt == 0) {
      const Verdict verdict = RoundTrip(target.client(), i);
      if (verdict.outcome != Outcome::kKept) return Broken(which + verdict.line);
    } else if (const auto status = target.client().Status(); !status.ok()) {
      return Broken(absl::StrCat(which, "Status: ", Words(status.status())));
    }
  }
  return Kept();
}

Verdict LookAtManyConnections(Target& target) {
  std::vector<std::unique_ptr<KmsClient>> clients;
  for (int i = 0; i < kManyConnections; ++i) clients.push_back(target.NewClient());
  return AllAtOnce(kManyConnections, [&](int i) {
    KmsClient& client = *clients[static_cast<std::size_t>(i)];
    const auto status = client.Status();
    if (!status.ok()) return Broken(absl::StrCat("Status: ", Words(status.status())));
    return RoundTrip(client, i);
  });
}

Verdict LookAtCancelledCalls(Target& target) {
  const auto record = target.client().Encrypt(NewPlaintext(kSeedSize));
  if (!record.ok()) return Unknown(absl::StrCat("Encrypt: ", Words(record.status())));
  const std::string message = client::DecryptMessage(*record, "cancelled");
  AllAtOnce(kAtOnce, [&](int i) {
    // Whether it was answered before is no matter.
    target.client()
        .Call(client::kDecryptMethod, message, milliseconds(i % 4))
        .status()
        .IgnoreError();
    return Kept();
  });
  return AllIsWell(target, absl::StrCat("after ", kAtOnce, " cancelled calls"));
}

Verdict LookAtShortDeadlines(Target& target) {
  // What expires before there is a connection never reaches the plugin.
  const auto hasty = target.NewConnectedClient(kShort);
  if (!hasty.ok()) return Broken(Words(hasty.status()));
  const auto record = target.client().Encrypt(NewPlaintext(kSeedSize));
  if (!record.ok()) return Unknown(absl::StrCat("Encrypt: ", Words(record.status())));
  AllAtOnce(kAtOnce, [&](int) {
    // Who was late says so in one way or another.
    (*hasty)->Decrypt(*record).status().IgnoreError();
    return Kept();
  });
  return AllIsWell(target, "after calls with a short deadline");
}

Verdict LookAtNoDeadline(Target& target) {
  // gRPC's own end of time: no deadline is sent. It is given up by us.
  const auto patient = target.NewClient(milliseconds::max());
  const auto answer = patient->Call(client::kStatusMethod, "", kCallTimeout);
  return answer.ok() ? Kept() : Broken(Words(answer.status()));
}

}  // namespace okms::conformance
