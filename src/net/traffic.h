// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What is counted of all that goes to one server.

#ifndef OKMS_NET_TRAFFIC_H_
#define OKMS_NET_TRAFFIC_H_

#include "base/counter.h"
#include "base/histogram.h"

namespace okms {

// Outlives whoever goes there: one way may take the place of another. Thread-safe.
struct Traffic {
  // A step on the way: its time where it went well, and how often it did not.
  struct Step {
    TimeHistogram took;
    Counter failed;
  };
  Step resolve;    // a look-up of the name, which may serve many connections
  Step connect;    // TCP
  Step handshake;  // TLS
  Step request;    // until it was answered; KMIP: of all operations that it carries

  Counter dials;      // addresses that were tried
  Gauge connections;  // open

  // Operations, each once.
  Counter succeeded;
  Counter refused;  // by the KMS's answer
  Counter failed;   // no answer that is of use; those that were turned away among them

  Counter retries;
  Counter turned_away;  // that never left: too many were waiting
};

}  // namespace okms

#endif  // OKMS_NET_TRAFFIC_H_
