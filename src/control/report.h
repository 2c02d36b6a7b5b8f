// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// All that there is to be seen from outside, at one moment. Each view (metrics_text.h,
// report_json.h) is a pure function of it.

#ifndef OKMS_CONTROL_REPORT_H_
#define OKMS_CONTROL_REPORT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/histogram.h"

namespace okms {

// Ages are in seconds up to now; none where there is nothing that has an age. Times are Unix times,
// in seconds. Texts may hold what a peer chose: views make them harmless.

struct ReportedKey {
  std::string id;       // of the adopted key; empty when there is none yet
  std::string id_hash;  // KeyIdHash of it
  bool label_unproven =
      false;  // the KMS hides names: that this is the key of the label is its word
};

// What the key's name leads to in place of the adopted key.
struct ReportedCandidate {
  std::string id_hash;  // empty: to no key
  bool works = false;   // it is to be adopted
  std::string text;     // in words
  double age = 0;       // since when
};

struct ReportedHost {
  std::string name;  // "host:port"
  bool up = false;
  std::string trouble;        // why it is not
  std::optional<double> age;  // since when it is so; none: not known

  // The way there, each step's time where it went well, and how often it did not.
  struct Step {
    std::string name;  // "resolve", "connect", "handshake", "request"
    Distribution seconds;
    uint64_t failures = 0;
  };
  std::vector<Step> steps;
  uint64_t dials = 0;                        // addresses that were tried
  int64_t connections = 0;                   // open now
  std::map<std::string, uint64_t> requests;  // by outcome: "succeeded", "refused", "failed"
  uint64_t retries = 0;
  uint64_t turned_away = 0;                // by our own bound of what may wait
  std::map<std::string, int64_t> waiting;  // by rank; KMIP alone
  Distribution batch;                      // operations in a request; KMIP alone
};

struct ReportedCertificate {
  std::string file;  // by the option that named it: "--client-cert"
  std::string path;
  double not_before = 0;
  double not_after = 0;
};

struct ReportedChange {
  std::string event;  // its name: docs/operations.md
  std::string text;
  double age = 0;
};

struct ReportedReload {
  std::string trouble;  // why what is on disk is not in use; empty: it is
  uint64_t succeeded = 0;
  uint64_t failed = 0;
};

struct ReportedMethod {
  std::string name;  // of KMS v2
  std::map<std::string, uint64_t> by_code;
  Distribution seconds;
};

struct Report {
  std::string version;
  std::string protocol;  // "kmip", "rest"
  double now = 0;
  double started = 0;
  double cpu_seconds = 0;  // of the process, so far

  bool ready = false;
  std::string reason;  // why not
  std::string
      code;  // and as Status answers it, if anybody can ask: "UNAVAILABLE"; "OK" while it is ready
  std::string state;                    // all that is to be said in one line, as systemd shows it
  std::vector<ReportedChange> changes;  // the last ones, the oldest first
  ReportedKey key;
  std::optional<ReportedCandidate> candidate;
  std::map<std::string, uint64_t>
      checks;  // that have ended, by outcome: "good", "undecided", "bad"
  std::optional<double> last_good_check_age;
  std::optional<double> last_answer_age;  // of the KMS, with success, whatever about
  uint64_t candidates = 0;                // keys that were to take the place of the one in use
  uint64_t adoptions = 0;
  uint64_t shared_decrypts = 0;  // that waited for the answer to another one
  // Decrypts under other keys than the one in use, by the hash of the key's id; "other": all for
  // which there was no room.
  std::map<std::string, uint64_t> other_decrypts;

  std::vector<ReportedHost> hosts;  // the preferred one first
  std::vector<ReportedCertificate> certificates;
  std::optional<ReportedReload> reload;

  std::vector<ReportedMethod> methods;
  uint64_t calls_under_way = 0;
  uint64_t calls_of_no_method = 0;                      // of KMS v1, for one
  uint64_t connections = 0;                             // of clients, open
  uint64_t connections_served = 0;                      // so far
  std::map<std::string, uint64_t> connections_refused;  // by reason: "stranger", "too_many"
  std::map<std::string, uint64_t> log_lines_left_out;   // by reason: "queue_full", "repeated"

  int landlock_abi = 0;  // 0: there is none
  std::string sandbox;   // what was achieved, in words
};

}  // namespace okms

#endif  // OKMS_CONTROL_REPORT_H_
