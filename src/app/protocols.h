// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The protocols that there are.

#ifndef OKMS_APP_PROTOCOLS_H_
#define OKMS_APP_PROTOCOLS_H_

#include <span>

#include "config/protocol.h"

namespace okms {

std::span<const Protocol> Protocols();

}  // namespace okms

#endif  // OKMS_APP_PROTOCOLS_H_
