// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What we ask of every TCP connection to a KMS.

#ifndef OKMS_NET_TCP_H_
#define OKMS_NET_TCP_H_

namespace okms {

// No delay, keep-alive, and an end to connections whose bytes are not acknowledged for 1.5 seconds:
// a slow KMS still acknowledges, one whose host or NAT entry vanished does not, and the call can go
// on by another connection while its deadline allows. Tuning only: a kernel that refuses one of
// these still carries the connection.
void TuneConnection(int fd);

}  // namespace okms

#endif  // OKMS_NET_TCP_H_
