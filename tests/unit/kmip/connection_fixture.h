// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#ifndef OKMS_TESTS_UNIT_KMIP_CONNECTION_FIXTURE_H_
#define OKMS_TESTS_UNIT_KMIP_CONNECTION_FIXTURE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "unit/kmip/wire.h"

namespace okms::kmip::wire {

inline Answer NotExpected(const Request& request) {
  ADD_FAILURE() << "unexpected " << ToString(request.operation);
  return Closed();
}

// A server that knows only some versions: another header gets `otherwise`.
inline Handler Knows(std::vector<ProtocolVersion> versions, Answer otherwise,
                     Handler next = NotExpected) {
  return [=](const Request& request) {
    if (std::find(versions.begin(), versions.end(), request.version) == versions.end()) {
      return otherwise;
    }
    if (request.operation == Operation::kDiscoverVersions &&
        request.version > ProtocolVersion{1, 0}) {
      return Success(request, DiscoverVersionsResponse{versions});
    }
    return next(request);
  };
}

class ConnectionTest : public ::testing::Test {
 protected:
  // A new connection; also how it ended, if it did.
  absl::Status Connect() {
    ++dials_;
    wire_ = std::make_unique<Wire>(kms_, known_, piece_);
    return wire_->status();
  }
  absl::Status Connect(Handler handler) {
    kms_.Handle(std::move(handler));
    return Connect();
  }
  // As many connections as one piece of work may cost, while it may help.
  absl::Status Open(Handler handler) {
    kms_.Handle(std::move(handler));
    absl::Status status;
    for (int left = known_.MostDials(); left > 0; --left) {
      status = Connect();
      if (!absl::IsUnavailable(status) && !absl::IsDataLoss(status)) break;
    }
    return status;
  }
  void Anew() {
    known_ = KnownServer();
    kms_.Forget();
    dials_ = 0;
  }
  Connection& connection() { return wire_->connection(); }

  Kms kms_;
  KnownServer known_;
  std::size_t piece_ = 5;  // bytes that come at once
  int dials_ = 0;
  std::unique_ptr<Wire> wire_;
};

}  // namespace okms::kmip::wire

#endif  // OKMS_TESTS_UNIT_KMIP_CONNECTION_FIXTURE_H_
