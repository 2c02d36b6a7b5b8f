// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// --check-config: whatever the start would stumble over, without starting.

#ifndef OKMS_APP_CHECK_CONFIG_H_
#define OKMS_APP_CHECK_CONFIG_H_

#include "base/log.h"
#include "config/config.h"

namespace okms {

// Logs each mistake. When there is none, a line on standard output says what was found. Uses no
// network. Whether all is well.
bool CheckConfig(const Config& config, const Logger& log);

}  // namespace okms

#endif  // OKMS_APP_CHECK_CONFIG_H_
