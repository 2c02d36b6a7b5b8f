// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What is known of the KMS from the connections so far, for the ones to come.

#ifndef OKMS_KMIP_KNOWN_SERVER_H_
#define OKMS_KMIP_KNOWN_SERVER_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "base/deadline.h"
#include "kmip/version.h"

namespace okms::kmip {

// Where a server of KMIP 1.2 or 1.3 wants the GCM tag: those versions have no field for it, and
// servers differ. From 1.4 on it has its own field.
enum class TagPlace { kInData, kInField };

// Of the I/O loop's turn.
class KnownServer {
 public:
  using Now = Clock::time_point;

  KnownServer();

  // ---- Its version

  // As negotiated: what a connection may begin with. None: it has to negotiate.
  std::optional<ProtocolVersion> version() const { return version_; }
  // The header that worked last, or the one that is most likely to.
  ProtocolVersion header() const { return header_; }
  // Whether it ever came to a version with us: then it can read what we write, and one that hangs
  // up has another reason.
  bool was_negotiated() const { return was_negotiated_; }

  // The headers in which a connection negotiates, one after the other: all of them, those last that
  // the KMS hung up on.
  std::vector<ProtocolVersion> Headers(Now now) const;
  // How many connections one piece of work may cost: before a version was ever negotiated each
  // header may need one, and one may fail by accident; afterwards that accident is all.
  int MostDials() const;

  void Negotiated(ProtocolVersion version);
  void SetHeader(ProtocolVersion header) { header_ = header; }
  // It hung up on a connection that began to negotiate with this header.
  void HungUpOn(ProtocolVersion header, Now now);
  // It refuses this version, which was known.
  void ForgetVersion(ProtocolVersion version);
  // It answered a connection.
  void Answered() { hang_ups_ = 0; }
  // It answered nothing to a connection that began with this version, which was known. Once that
  // may be an accident.
  void HungUp(ProtocolVersion version);

  // ---- Batches

  // How many items a request may have: kMaxItems; 1 for ten minutes after the KMS showed that it
  // takes no more.
  std::size_t MostItems(Now now) const;
  void BatchAnswered() { lost_batches_ = 0; }
  void SingleAnswered() { answered_since_loss_ = true; }
  void BatchRefused(Now now);
  // A connection was lost with a batch under way. Once that may be an accident; when it happens
  // again, though single ones were answered meanwhile, it is not.
  void BatchLost(Now now);

  // ---- Its habits

  // A batch item id (KMIP 1.4 section 6.4) that no other request has, nor likely one of another
  // client.
  uint64_t NewId() { return next_id_++; }
  // Whether it gives back the ids of batch items.
  bool echoes_ids = false;
  // As the last Encrypt answered, or as the last Decrypt was accepted.
  TagPlace tag_place_before_1_4 = TagPlace::kInData;

 private:
  bool IsRecent(Now now) const;

  std::optional<ProtocolVersion> version_;
  // Discover Versions is as old as 1.1, so servers of all versions are most likely to know it
  // there.
  ProtocolVersion header_{1, 1};
  bool was_negotiated_ = false;
  int hang_ups_ = 0;  // in a row
  std::vector<ProtocolVersion> hung_up_on_;
  Now last_hang_up_;

  int lost_batches_ = 0;  // in a row
  bool answered_since_loss_ = false;
  Now single_until_;
  uint64_t next_id_ = 0;
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_KNOWN_SERVER_H_
