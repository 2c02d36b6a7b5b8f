// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The connections that gRPC serves, and how they are told that we are about to go.

#ifndef OKMS_SERVICE_CONNECTIONS_H_
#define OKMS_SERVICE_CONNECTIONS_H_

#include <sys/types.h>

#include <cstddef>
#include <vector>

#include "base/deadline.h"
#include "base/unique_fd.h"

namespace okms {

// gRPC's server can only be told to end, and from that moment it drops each call that comes before
// the peer has heard of it: with somebody who calls all the time there is always one. HTTP/2 has a
// frame to announce the end beforehand (GOAWAY with the highest stream id, RFC 9113 section 6.8):
// the peer opens no more streams and closes the connection when its calls are done. We send it
// ourselves, past gRPC, which goes on serving meanwhile.
//
// It is one send(2) of 17 bytes, as gRPC's are of whole frames, so that frames stay whole unless
// the peer has left its buffer full of answers unread; such a connection is lost at the end anyway.
//
// Used by one thread.
class Connections {
 public:
  // What one user may have open at a time. kube-apiserver has one for each provider that it knows.
  static constexpr std::size_t kOfOneUser = 100;
  // What all users but root may have together, so that there is always room for root's apiserver.
  static constexpr std::size_t kOfOthers = 200;
  static constexpr std::size_t kMost = kOfOneUser + kOfOthers;

  // Whether there is room for one more of the peer's user. If so, keeps a second descriptor of the
  // same socket. Without one left, the connection is served all the same, and ends without notice.
  bool Add(int connection);

  // Announces the end to all that have not heard it yet, but for those so young that gRPC may not
  // have sent its first frame, which must come before: call it again for these.
  void Announce();

  // Whether there is a connection that its peer, or gRPC, has not closed yet.
  bool AnyOpen();
  // Whether bytes of a peer wait to be read by gRPC.
  bool AnyUnread() const;

  // Lets go of those that are closed. A peer's close shows at once, but nobody tells us of it, so
  // call it from time to time. Whether there were any.
  bool Sweep();

  // Those that are kept, the ones that were closed since the last Sweep among them.
  std::size_t size() const { return connections_.size(); }

 private:
  struct Connection {
    UniqueFd fd;
    uid_t uid;
    Deadline since;
    bool announced = false;
  };

  bool RoomFor(uid_t uid) const;

  std::vector<Connection> connections_;
};

}  // namespace okms

#endif  // OKMS_SERVICE_CONNECTIONS_H_
