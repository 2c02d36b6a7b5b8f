// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Certificates that change while the plugin runs.

#ifndef OKMS_APP_RELOAD_H_
#define OKMS_APP_RELOAD_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "app/proof.h"
#include "app/service_state.h"
#include "base/deadline.h"
#include "base/log.h"
#include "core/health.h"
#include "core/replaceable_backend.h"
#include "net/credentials.h"

namespace okms {

// Reads the files again when they have changed, or when it is asked to (SIGHUP). What they hold is
// a candidate: it takes the place of what is in use when it can be read, fits, is valid now, and
// the key in use was proven with it at a host of the KMS. Until then, and while it fails, what is
// in use stays, and a line and the state say why. While no key is in use there is nothing to lose:
// then it takes its place at once.
//
// On the loop's thread.
class Reload {
 public:
  // How often to look whether the files have changed; while something is wrong with them, sooner.
  static constexpr std::chrono::seconds kLook{60};
  static constexpr std::chrono::seconds kLookSoon{5};
  // When to try a candidate again with which the KMS did not answer, or refused.
  static constexpr std::chrono::seconds kProveAgain{10};
  // How often to look for the answers of the KMS.
  static constexpr std::chrono::milliseconds kLookForAnswer{250};
  // How long the service manager is left waiting at most for the end of what it asked for.
  static constexpr std::chrono::seconds kTellBy{5};

  using Maker = std::function<absl::StatusOr<std::vector<Proof::Host>>(
      const std::shared_ptr<const TlsContext>& tls)>;

  struct Parts {
    Credentials& credentials;
    std::vector<ReplaceableBackend*> servers;
    Maker make;                      // of as many, to take their place
    std::function<Health()> health;  // of the key
    ServiceState& state;
    const Logger& log;
    std::chrono::milliseconds timeout;  // of an operation
  };

  // `now` is for tests.
  explicit Reload(Parts parts, std::function<Deadline()> now = Clock::now);

  // Has the files read at the next tick, also when they have not changed. Call Tick soon.
  void Ask();

  // Does what is due, and returns when to call again.
  Deadline Tick();

  // For a line of state: why what is on disk is not in use; empty: it is.
  const std::string& trouble() const { return trouble_; }

  struct Counts {
    uint64_t used = 0;     // candidates
    uint64_t refused = 0;  // so often; one may be tried again and again
  };
  const Counts& counts() const { return counts_; }

 private:
  void Look(Deadline now);
  // `changed`: since the files were looked at last.
  void Read(bool changed, Deadline now);
  void Judge(Deadline now);
  // When the KMS answers, and says no more against the key than it says with those in use, or does
  // not take these any more: a key that was deactivated, and has yet to decrypt, must not have the
  // certificates expire.
  bool IsNoWorse(const absl::Status& verdict) const;
  // The four ends.
  void SayUnchanged();
  void Use(std::vector<Proof::Host> hosts, absl::string_view why);
  // `again`: when to read them anew, even if they have not changed. `about`: what need not be said
  // twice; empty: these very words.
  void Refuse(absl::string_view why, Deadline again, std::string about = "");
  void End();

  const Parts parts_;
  const std::function<Deadline()> now_;
  bool asked_ = false;  // to look at once
  bool aloud_ = false;  // somebody waits for what comes of it
  Deadline next_look_;
  Deadline again_ = Deadline::max();
  std::optional<Deadline> tell_by_;  // that it has come to an end

  // While there is a proof.
  std::shared_ptr<const TlsContext> candidate_;
  std::string key_id_;
  std::optional<Proof> proof_;

  Counts counts_;
  std::string trouble_;
  std::string said_;  // what the last line was about
};

}  // namespace okms

#endif  // OKMS_APP_RELOAD_H_
