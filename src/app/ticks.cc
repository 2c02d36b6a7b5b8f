// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/ticks.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "core/health.h"

namespace okms {
namespace {

// How often to look whether files are still in reach; at those of the name service twice before the
// end.
constexpr std::chrono::seconds kLookInterval{5};

// How often to read the file of the key's id. The first time shows whether it can be read at all
// from within the sandbox, by the user that the process has become.
constexpr std::chrono::minutes kReadInterval{1};

// How long Status tells what is wrong with a file before the process ends, for systemd to start it
// anew. kube-apiserver asks each 10 seconds while it is not ready, so it hears of it each time; and
// after these, at the latest, a file that was put in place is read, which the sandbox forbids here.
constexpr std::chrono::seconds kServeTheReason{15};

constexpr char kReplaced[] =
    ": out of the sandbox's reach: this machine's /etc, or where that file is, was replaced after "
    "the start; ending, for the service manager to start it anew";

}  // namespace

Ticks::Ticks(const Parts& parts)
    : parts_(parts),
      give_up_(parts.credentials.tls().ok() ? Deadline::max() : Clock::now() + kServeTheReason),
      resolver_files_(parts.reach.files),
      watchdog_({{"a call", [this] { return parts_.server.CallDeadline(); }},
                 {"a check of the key", [this] { return parts_.keys.CheckDeadline(); }},
                 {"gRPC", [this] { return parts_.server.ProbeDeadline(); }}},
                parts.config.timeout + kLate, parts.log, [this] { parts_.state.Alive(); }) {}

absl::Status Ticks::Begin() {
  EventLoop& loop = parts_.loop;
  OKMS_RETURN_IF_ERROR(loop.Repeat([this] { return LookAtKey(); }));
  OKMS_RETURN_IF_ERROR(loop.Repeat([this] { return LookAtSocket(); }));
  OKMS_RETURN_IF_ERROR(loop.Repeat([this] { return LookAtCertificates(); }));
  OKMS_RETURN_IF_ERROR(loop.Repeat([this] { return GiveUp(); }));
  OKMS_RETURN_IF_ERROR(loop.Repeat([this] { return LookAtResolverFiles(); }));
  OKMS_RETURN_IF_ERROR(loop.Repeat([this] { return parts_.server.Tick(); }));
  if (parts_.bus != nullptr) {
    OKMS_RETURN_IF_ERROR(loop.Repeat([this] { return parts_.bus->Tick(); }));
  }
  if (parts_.key_file.is_there()) {
    OKMS_RETURN_IF_ERROR(loop.Repeat([this] {
      parts_.key_file.Read();
      return Clock::now() + kReadInterval;
    }));
  }
  const auto interval = Watchdog::Interval();
  if (!interval) return absl::OkStatus();
  return loop.Repeat([this, interval] {
    watchdog_.Tick();
    return Clock::now() + *interval;
  });
}

Deadline Ticks::LookAtKey() {
  const Deadline next = parts_.keys.Tick();
  parts_.credentials.Tick(parts_.log);
  const Health health = parts_.keys.Current();
  parts_.readiness.At(health, parts_.socket.trouble(), Clock::now());
  parts_.state.Is(parts_.state_line(health));
  return next;
}

Deadline Ticks::LookAtCertificates() {
  const Deadline next = parts_.reload.Tick();
  parts_.state.Is(parts_.state_line(parts_.keys.Current()));  // who had the files read looks there
  return next;
}

Deadline Ticks::LookAtSocket() {
  parts_.socket.Look();
  return Clock::now() + kLookInterval;
}

Deadline Ticks::LookAtResolverFiles() {
  // Not sooner when all ticks are hurried: two looks in a row end the process.
  if (Clock::now() < next_resolver_look_) return next_resolver_look_;
  next_resolver_look_ = Clock::now() + kLookInterval;
  if (const std::string lost = resolver_files_.Look(); !lost.empty()) {
    End(absl::UnavailableError(absl::StrCat(lost, kReplaced)));
  }
  return next_resolver_look_;
}

Deadline Ticks::GiveUp() {
  const absl::Status unusable = parts_.credentials.tls().status();
  if (unusable.ok()) return Deadline::max();
  if (Expired(give_up_)) End(unusable);
  return give_up_;
}

void Ticks::End(absl::Status why) {
  end_ = std::move(why);
  parts_.loop.Exit();
}

}  // namespace okms
