// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The report as Prometheus reads it.

#ifndef OKMS_CONTROL_METRICS_TEXT_H_
#define OKMS_CONTROL_METRICS_TEXT_H_

#include <string>

#include "control/report.h"

namespace okms {

// What MetricsText is, for Content-Type.
inline constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";

// Prometheus' text format 0.0.4. No key's id but its hash, and of texts none but names.
std::string MetricsText(const Report& report);

}  // namespace okms

#endif  // OKMS_CONTROL_METRICS_TEXT_H_
