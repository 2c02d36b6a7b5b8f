// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What is known of the KMS from the sessions so far, for the ones to come.

#ifndef OKMS_KMIP_KNOWN_SERVER_H_
#define OKMS_KMIP_KNOWN_SERVER_H_

#include <atomic>
#include <optional>

#include "base/guarded.h"
#include "kmip/version.h"

namespace okms::kmip {

// Where a server of KMIP 1.2 or 1.3 wants the GCM tag: those versions have no field for it, and
// servers differ. From 1.4 on it has its own field.
enum class TagPlace { kInData, kInField };

// Thread-safe.
class KnownServer {
 public:
  // As negotiated: what a session may begin with. None: it has to negotiate.
  std::optional<ProtocolVersion> version() const {
    return state_.With([](const State& state) { return state.version; });
  }
  // The header that negotiation begins with.
  ProtocolVersion header() const {
    return state_.With([](const State& state) { return state.header; });
  }
  // Whether it ever came to a version with us: then it can read what we write, and one that hangs
  // up has another reason.
  bool was_negotiated() const {
    return state_.With([](const State& state) { return state.was_negotiated; });
  }

  void Negotiated(ProtocolVersion version) {
    state_.With([&](State& state) { state = {version, state.header, true, 0}; });
  }
  void SetHeader(ProtocolVersion header) {
    state_.With([&](State& state) { state.header = header; });
  }
  void ForgetVersion() {
    state_.With([](State& state) { state.version.reset(); });
  }
  // It answered a session.
  void Answered() {
    state_.With([](State& state) { state.hang_ups = 0; });
  }
  // It answered nothing to a session that began with the version above. Once that may be an
  // accident.
  void HungUp() {
    state_.With([](State& state) {
      if (++state.hang_ups > 1) state.version.reset();
    });
  }

  // Whether it gives back the ids of batch items.
  std::atomic<bool> echoes_ids = false;
  // As the last Encrypt answered, or as the last Decrypt was accepted.
  std::atomic<TagPlace> tag_place_before_1_4 = TagPlace::kInData;

 private:
  struct State {
    std::optional<ProtocolVersion> version;
    // Discover Versions is as old as 1.1, so servers of all versions are most likely to know it
    // there.
    ProtocolVersion header{1, 1};
    bool was_negotiated = false;
    int hang_ups = 0;  // in a row
  };
  Guarded<State> state_;
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_KNOWN_SERVER_H_
