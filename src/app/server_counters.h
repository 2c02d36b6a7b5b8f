// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What is counted of one server of the configuration, whoever goes there.

#ifndef OKMS_APP_SERVER_COUNTERS_H_
#define OKMS_APP_SERVER_COUNTERS_H_

#include "kmip/counters.h"
#include "net/traffic.h"

namespace okms {

struct ServerCounters {
  Traffic traffic;
  kmip::Counters kmip{traffic};  // of no use to another protocol
};

}  // namespace okms

#endif  // OKMS_APP_SERVER_COUNTERS_H_
