// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The checks of the socket that kube-apiserver calls.

#ifndef OKMS_DOCTOR_SOCKET_CHECKS_H_
#define OKMS_DOCTOR_SOCKET_CHECKS_H_

#include "doctor/examination.h"
#include "doctor/finding.h"

namespace okms::doctor {

Verdicts CheckSocket(Examination& all);
// By its mode, and by what the plugin lets in.
Verdicts CheckAccess(Examination& all);
// By connecting.
Verdicts CheckOwnStatus(Examination& all);
Verdicts CheckStatusAsUser(Examination& all);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_SOCKET_CHECKS_H_
