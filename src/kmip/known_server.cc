// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A server that hangs up on a header costs a connection, so the headers are tried over several of
// them, and what came of it stands here. 1.0 has no Discover Versions and is a guess: it is what a
// connection begins with only when all others were hung up on just now, and never with a server
// that once came to a version with us. That one may be back at this very moment, and would be
// spoken to in the poorest version.

#include "kmip/known_server.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "kmip/message.h"

namespace okms::kmip {
namespace {

constexpr ProtocolVersion kWithDiscoverVersions[] = {{1, 1}, kHighestVersion, {1, 3}, {1, 2}};

// What is one attempt: hang-ups of longer ago may have had another reason.
constexpr std::chrono::seconds kAttempt{10};
constexpr std::chrono::minutes kSingle{10};

bool Contains(const std::vector<ProtocolVersion>& versions, ProtocolVersion version) {
  return std::find(versions.begin(), versions.end(), version) != versions.end();
}

}  // namespace

KnownServer::KnownServer() {
  std::array<uint8_t, sizeof next_id_> random{};
  if (RAND_bytes(random.data(), random.size()) != 1) return;  // our own still differ
  for (const uint8_t byte : random) next_id_ = (next_id_ << 8) | byte;
}

std::vector<ProtocolVersion> KnownServer::Headers(Now now) const {
  std::vector<ProtocolVersion> headers{header_};
  for (const ProtocolVersion version : kWithDiscoverVersions) {
    if (version != header_) headers.push_back(version);
  }
  const auto hung_up_on = std::stable_partition(
      headers.begin(), headers.end(),
      [&](ProtocolVersion version) { return !IsRecent(now) || !Contains(hung_up_on_, version); });
  const bool all = hung_up_on == headers.begin();
  headers.insert(all ? headers.begin() : headers.end(), kLowestVersion);
  return headers;
}

int KnownServer::MostDials() const {
  return was_negotiated_ ? 2 : static_cast<int>(std::size(kWithDiscoverVersions)) + 2;
}

bool KnownServer::IsRecent(Now now) const {
  return was_negotiated_ || now - last_hang_up_ < kAttempt;
}

void KnownServer::HungUpOn(ProtocolVersion header, Now now) {
  if (!IsRecent(now)) hung_up_on_.clear();
  last_hang_up_ = now;
  if (!Contains(hung_up_on_, header)) hung_up_on_.push_back(header);
  const std::size_t all = std::size(kWithDiscoverVersions) + (was_negotiated_ ? 0 : 1);
  if (hung_up_on_.size() >= all) hung_up_on_.clear();  // from the beginning
}

void KnownServer::Negotiated(ProtocolVersion version) {
  version_ = version;
  was_negotiated_ = true;
  hang_ups_ = 0;
  hung_up_on_.clear();
}

void KnownServer::ForgetVersion(ProtocolVersion version) {
  if (version_ == version) version_.reset();  // else another connection has negotiated anew
}

void KnownServer::HungUp(ProtocolVersion version) {
  if (version_ == version && ++hang_ups_ > 1) version_.reset();
}

std::size_t KnownServer::MostItems(Now now) const { return now < single_until_ ? 1 : kMaxItems; }

void KnownServer::BatchRefused(Now now) {
  single_until_ = now + kSingle;
  lost_batches_ = 0;
}

void KnownServer::BatchLost(Now now) {
  // Several that are lost at the same time have one reason, which may be another.
  if (lost_batches_ > 0 && !answered_since_loss_) return;
  answered_since_loss_ = false;
  if (++lost_batches_ > 1) BatchRefused(now);
}

}  // namespace okms::kmip
