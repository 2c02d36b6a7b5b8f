// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A name server (RFC 1035) that answers what the test says, over UDP and TCP.

#ifndef OKMS_TESTS_SUPPORT_DNS_SERVER_H_
#define OKMS_TESTS_SUPPORT_DNS_SERVER_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace okms::test {

// Thread-safe.
class DnsServer {
 public:
  enum class Mode {
    kAnswer,    // what Set said; NXDOMAIN for other names
    kFail,      // SERVFAIL
    kSilent,    // nothing
    kTruncate,  // over UDP only that the answer is too long; over TCP the answer
    kSilent6,   // nothing to a question for IPv6 addresses
  };

  // On that address (IPv4) and port; 0: any free one. Aborts when it cannot.
  explicit DnsServer(const std::string& address = "127.0.0.1", uint16_t port = 0);
  ~DnsServer();

  uint16_t port() const { return port_; }
  std::string HostPort() const;  // as c-ares takes it: "127.0.0.1:5353"

  // From now on the name has these addresses, IPv4 and IPv6.
  void Set(const std::string& name, std::vector<std::string> addresses);
  void SetMode(Mode mode);
  // From now on, names in that domain ("cluster.local") are answered with SERVFAIL.
  void FailIn(const std::string& domain);
  // Questions so far, each family one of its own.
  int questions() const;

 private:
  void Serve();
  void ServeUdp();
  void ServeTcp();
  // The answer to a question; empty: none.
  std::string Answer(const std::string& question, bool tcp);

  const std::string address_;
  UniqueFd udp_;
  UniqueFd tcp_;
  UniqueFd stop_;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;  // guards the four below
  std::map<std::string, std::vector<std::string>> names_;
  Mode mode_ = Mode::kAnswer;
  std::string failing_;
  int questions_ = 0;
  std::thread thread_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_SUPPORT_DNS_SERVER_H_
