// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A channel of TlsConnector that is being opened: the race of a host's addresses.

#ifndef OKMS_NET_TLS_OPENING_H_
#define OKMS_NET_TLS_OPENING_H_

#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "net/tls_connector.h"
#include "net/tls_socket.h"

namespace okms {

// An address that takes too long is not waited for: the next one is tried beside it, and the first
// that has shaken hands wins; the others are closed. When all were tried in vain, the name is asked
// for anew, and what it has then that was not tried is.
class TlsOpening : public Opening {
 public:
  // Does nothing before the loop comes to it.
  TlsOpening(TlsConnector& connector, Deadline deadline, Connector::Opened opened);
  ~TlsOpening() override;
  TlsOpening(const TlsOpening&) = delete;
  TlsOpening& operator=(const TlsOpening&) = delete;

  absl::Status TooLate() const override;

  // The name was looked up, well or not. Goes on with that from the loop.
  void NameWasAsked();

 private:
  // One address that is tried.
  struct Attempt {
    std::unique_ptr<TlsSocket> socket;
    Deadline began;
    Deadline connected;                  // once it is
    Deadline patience;                   // then another one is worth a try beside it
    std::optional<IoLoop::Watch> watch;  // once it waits
  };

  // Does what can be done without waiting. The last that its caller does: `opened` may destroy
  // this.
  void GoOn();
  // Tries the next address, if there is one and it is time to; whether it did.
  bool BeginNext();
  std::optional<Address> Untried() const;
  // Has all that are tried go on: the one that has shaken hands, if there is one.
  std::unique_ptr<TlsSocket> FirstThere();
  // Whether it has.
  absl::StatusOr<bool> Continue(Attempt& attempt);
  void Failed(const absl::Status& why);
  // Whether all was tried, but the name may have changed.
  bool AwaitsName();
  void MarkSilent();
  void Wait();
  void Finish(absl::StatusOr<std::unique_ptr<Channel>> channel);

  TlsConnector& connector_;
  const Deadline deadline_;
  Connector::Opened opened_;
  bool name_was_asked_ = false;
  std::optional<Deadline> name_until_;  // once AwaitsName
  std::set<std::string> tried_;
  std::list<Attempt> running_;  // the latest last
  absl::Status last_;           // why there is no channel
  IoLoop::Timer timer_;
};

}  // namespace okms

#endif  // OKMS_NET_TLS_OPENING_H_
