// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <chrono>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "app/protocols.h"
#include "base/status.h"
#include "doctor/kms_checks.h"
#include "doctor/reach.h"
#include "doctor/rest_probe.h"

namespace okms::doctor {
namespace {

constexpr std::chrono::seconds kMostAhead{60};

std::string Through(const Endpoint& endpoint) {
  return endpoint.proxied ? absl::StrCat(" by the proxy ", endpoint.target.ToString()) : "";
}

// A look at what the two sides say to each other; without the key, which is no secret's place.
std::string LookAtHandshake(const Examination& all, const Endpoint& endpoint) {
  const TlsFiles& files = all.config->tls;
  return absl::StrCat("openssl s_client -connect ", endpoint.target.ToString(), " -servername ",
                      endpoint.server->host.host, " -cert ", files.client_cert.path, " -key ",
                      files.client_key.path,
                      files.ca.path.empty() ? "" : absl::StrCat(" -CAfile ", files.ca.path));
}

absl::Status TalkKmip(Examination& all, Endpoint& endpoint) {
  const Deadline deadline = all.NextDeadline();
  const auto dial = [&] {
    return ShakeHands(endpoint.target, *endpoint.reached, *all.tls, deadline);
  };
  OKMS_ASSIGN_OR_RETURN(endpoint.kmip, KmipProbe::Begin(dial, deadline));
  endpoint.version = absl::StrCat("KMIP ", endpoint.kmip->version().ToString());
  const auto ahead = endpoint.kmip->Ahead(deadline);
  if (absl::IsNotFound(ahead.status())) return absl::OkStatus();
  if (ahead.ok()) endpoint.ahead = *ahead;
  return ahead.status();
}

absl::Status TalkRest(Examination& all, Endpoint& endpoint) {
  OKMS_ASSIGN_OR_RETURN(const RestAnswer answer, AskRest(*all.config, *endpoint.server, all.tls,
                                                         *all.io, all.NextDeadline()));
  endpoint.version = absl::StrCat("REST, HTTP ", answer.status);
  endpoint.ahead = answer.ahead;
  // A refusal is an answer: which rights are needed is the key's matter.
  const bool sense = !absl::IsDataLoss(answer.sense) && !absl::IsUnavailable(answer.sense) &&
                     !absl::IsUnauthenticated(answer.sense);
  return sense ? absl::OkStatus() : answer.sense;
}

}  // namespace

Verdicts CheckResolve(Examination& all, Endpoint& endpoint) {
  auto addresses = Resolve(endpoint.target, all.NextDeadline());
  if (!addresses.ok()) {
    return Failed(std::string(addresses.status().message()),
                  absl::StrCat("getent hosts ", endpoint.target.host));
  }
  endpoint.addresses = *std::move(addresses);
  return Passed(
      absl::StrCat(endpoint.target.host, Through(endpoint), " is ", Listed(endpoint.addresses)));
}

Verdicts CheckConnect(Examination& all, Endpoint& endpoint) {
  const std::string mend = absl::StrCat("nc -vz ", endpoint.target.host, " ", endpoint.target.port);
  std::vector<std::string> failures;
  for (const Address& address : endpoint.addresses) {
    const absl::Status status = TryConnect(address, all.NextDeadline());
    if (status.ok()) {
      if (!endpoint.reached) endpoint.reached = address;
    } else {
      failures.push_back(absl::StrCat(HostPort{address.ToString(), endpoint.target.port}.ToString(),
                                      ": ", status.message()));
    }
  }
  const std::string failed = absl::StrJoin(failures, "; ");
  if (!endpoint.reached) return Failed(failed, mend);
  if (!failures.empty()) {
    return Warning(absl::StrCat("another address does not take connections: ", failed), mend);
  }
  return Passed(absl::StrCat(endpoint.target.ToString(), " takes connections"));
}

Verdicts CheckHandshake(Examination& all, Endpoint& endpoint) {
  const std::string mend = LookAtHandshake(all, endpoint);
  if (all.io == nullptr) {
    auto io = IoLoop::Create();
    if (!io.ok()) return Unknown(std::string(io.status().message()), "");
    all.io = *std::move(io);
  }
  if (!endpoint.proxied) {
    const auto socket =
        ShakeHands(endpoint.target, *endpoint.reached, *all.tls, all.NextDeadline());
    if (!socket.ok()) return Failed(Message(socket.status()), mend);
    if (absl::Status verdict = AwaitVerdict(**socket); absl::IsUnauthenticated(verdict)) {
      return Failed(Message(verdict), mend);
    }
  }
  endpoint.answer =
      endpoint.server->over_rest() ? TalkRest(all, endpoint) : TalkKmip(all, endpoint);
  // By a proxy, this is the first that is seen of it.
  const bool none = endpoint.proxied && !endpoint.answer.ok() && endpoint.version.empty();
  if (none || absl::IsUnauthenticated(endpoint.answer)) {
    return Failed(Message(endpoint.answer), mend);
  }
  return Passed("the KMS and we take each other's certificates");
}

Verdicts CheckVersion(Examination& all, Endpoint& endpoint) {
  if (endpoint.answer.ok()) return Passed(absl::StrCat("the KMS speaks ", endpoint.version));
  return Failed(Message(endpoint.answer), all.EditCommand());
}

Verdicts CheckClock(Examination&, Endpoint& endpoint) {
  constexpr char kSet[] = "timedatectl set-ntp true";
  if (!endpoint.ahead) return Unknown("the KMS's answer does not say what its clock says", "");
  const auto seconds = endpoint.ahead->count();
  if (std::abs(seconds) <= kMostAhead.count()) {
    return Passed("this machine's clock and the KMS's are less than a minute apart");
  }
  return Warning(absl::StrCat("the KMS's clock is ", std::abs(seconds), " s ",
                              seconds > 0 ? "ahead of" : "behind", " this machine's"),
                 kSet);
}

Verdicts CheckBatch(Examination& all, Endpoint& endpoint) {
  const absl::StatusOr<bool> batches = endpoint.kmip->Batches(all.NextDeadline());
  if (batches.ok() && *batches) return Passed("the KMS answers several operations in one request");
  const std::string why = batches.ok() ? "" : absl::StrCat(": ", Message(batches.status()));
  return Warning(absl::StrCat("the KMS answers one operation in a request, so a herd of Decrypts "
                              "takes longer; nothing has to be done",
                              why),
                 "");
}

}  // namespace okms::doctor
