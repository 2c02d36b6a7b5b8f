// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "core/key_health.h"
#include "core/label_search.h"
#include "core/round_trip.h"
#include "doctor/kms_checks.h"
#include "doctor/wait_for.h"

namespace okms::doctor {
namespace {

// No command mends a key, which is done at the KMS: those here find another.

NextDeadline Next(const Examination& all) {
  return [&all] { return all.NextDeadline(); };
}

// Made once, whoever asks for it first.
const Trip& TripOf(const Examination& all, Endpoint& endpoint) {
  if (endpoint.trip) return *endpoint.trip;
  endpoint.trip = *WaitFor<Trip>([&](Done<Trip> done) {
    RandomRoundTrip(*endpoint.backend, endpoint.key_id, Next(all),
                    [done = std::move(done)](Trip trip) mutable { done(std::move(trip)); });
  });
  return *endpoint.trip;
}

std::string Key(const Endpoint& endpoint) {
  return absl::StrCat("key ", Printable(endpoint.key_id), " ");
}

// The KMS does not show it: whether the key works all the same.
Verdicts DecideByTrip(const Examination& all, Endpoint& endpoint, absl::string_view what) {
  const auto& trip = TripOf(all, endpoint);
  const std::string hidden =
      endpoint.hidden.ok()
          ? absl::StrCat("the KMS does not show its ", what)
          : absl::StrCat("its ", what, " is not shown: ", Message(endpoint.hidden));
  if (trip.result.ok()) {
    return Passed(absl::StrCat(Key(endpoint), "works, though the KMS does not show its ", what));
  }
  return Failed(
      absl::StrCat(Key(endpoint), "does not work: ", Message(trip.result.status()), "; ", hidden),
      all.WithAnotherKey());
}

}  // namespace

Verdicts CheckKeyName(Examination& all, Endpoint& endpoint) {
  const Config& config = *all.config;
  auto backend =
      config.protocol->make(config, *endpoint.server, all.tls, *endpoint.counters, *all.io);
  if (!backend.ok()) return Failed(std::string(backend.status().message()), "");
  endpoint.backend = *std::move(backend);
  endpoint.key_id = config.key_id;
  if (config.key_label.empty()) {
    return Passed(absl::StrCat("the key is ", Printable(endpoint.key_id)));
  }
  auto answer = WaitFor<LabelledKey>([&](Done<LabelledKey> done) {
    FindByLabel(
        *endpoint.backend, config.key_label, {}, Next(all),
        [done = std::move(done)](LabelAnswer found) mutable { done(std::move(found.key)); });
  });
  if (!answer.ok()) return Failed(Message(answer.status()), all.WithAnotherKey());
  endpoint.key_id = answer->id;
  return Passed(absl::StrCat("the label ", Printable(config.key_label), " means key ",
                             Printable(endpoint.key_id)));
}

Verdicts CheckKeyState(Examination& all, Endpoint& endpoint) {
  auto info = WaitFor<KeyInfo>([&](Done<KeyInfo> done) {
    endpoint.backend->Inspect(endpoint.key_id, all.NextDeadline(), std::move(done));
  });
  if (IsSilence(info.status()) || absl::IsNotFound(info.status()) ||
      absl::IsUnauthenticated(info.status())) {
    return Failed(absl::StrCat(Key(endpoint), "cannot be looked at: ", Message(info.status())),
                  all.WithAnotherKey());
  }
  endpoint.hidden = info.status();
  if (info.ok()) endpoint.key = *std::move(info);
  if (!endpoint.key || !endpoint.key->active) return DecideByTrip(all, endpoint, "state");
  if (!endpoint.key->active->has) {
    return Failed(absl::StrCat(Key(endpoint), "is in state ", endpoint.key->active->words),
                  all.WithAnotherKey());
  }
  return Passed(absl::StrCat(Key(endpoint), "is active"));
}

Verdicts CheckKeyUsage(Examination& all, Endpoint& endpoint) {
  if (endpoint.key) {
    if (const std::string why = WhyUnfit(*endpoint.key); !why.empty()) {
      return Failed(absl::StrCat(Key(endpoint), why), all.WithAnotherKey());
    }
  }
  if (!endpoint.key || !endpoint.key->encrypts || !endpoint.key->decrypts) {
    return DecideByTrip(all, endpoint, "usage");
  }
  return Passed(absl::StrCat(Key(endpoint), "may encrypt and decrypt"));
}

Verdicts CheckRoundTrip(Examination& all, Endpoint& endpoint) {
  const auto& trip = TripOf(all, endpoint);
  if (!trip.result.ok()) {
    return Failed(absl::StrCat(Key(endpoint), "does not work: ", Message(trip.result.status())),
                  all.WithAnotherKey());
  }
  return Passed(absl::StrCat(Key(endpoint), "encrypts and decrypts, in ", TookText(trip.took)));
}

Verdicts CheckAgreement(Examination& all) {
  Verdicts verdicts;
  const Endpoint& first = all.endpoints.front();
  for (std::size_t i = 1; i < all.endpoints.size(); ++i) {
    Endpoint& other = all.endpoints[i];
    if (other.key_id != first.key_id) {
      verdicts.push_back(
          {Outcome::kFailed,
           absl::StrCat("the label means key ", Printable(first.key_id), " at ", first.name,
                        ", and ", Printable(other.key_id), " at ", other.name),
           all.WithAnotherKey()});
      continue;
    }
    const auto read = WaitFor<Secret>([&](Done<Secret> done) {
      other.backend->Decrypt(Way::kChecks, first.key_id, *first.trip->result, all.NextDeadline(),
                             std::move(done));
    });
    if (!read.ok()) {
      verdicts.push_back({Outcome::kFailed,
                          absl::StrCat(other.name, " does not decrypt what ", first.name,
                                       " encrypted: ", Message(read.status())),
                          all.EditCommand()});
    }
  }
  return verdicts.empty() ? Passed("the hosts have the same key") : verdicts;
}

}  // namespace okms::doctor
