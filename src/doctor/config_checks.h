// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The checks of what the plugin is started with, files included. None uses the network.

#ifndef OKMS_DOCTOR_CONFIG_CHECKS_H_
#define OKMS_DOCTOR_CONFIG_CHECKS_H_

#include "doctor/examination.h"
#include "doctor/finding.h"

namespace okms::doctor {

// Finds it, and makes this process's environment the plugin's.
Verdicts CheckSource(Examination& all);
// Reads it, and leaves the hosts of the KMS.
Verdicts CheckFlags(Examination& all);
Verdicts CheckUser(Examination& all);

// The first of these reads all three files.
Verdicts CheckTlsSetup(Examination& all);
Verdicts CheckClientCert(Examination& all);
Verdicts CheckClientKey(Examination& all);
Verdicts CheckCa(Examination& all);
Verdicts CheckClientCertDates(Examination& all);
Verdicts CheckCaDates(Examination& all);
Verdicts CheckChain(Examination& all);
Verdicts CheckKeyMode(Examination& all);
Verdicts CheckReaders(Examination& all);
Verdicts CheckKeyFits(Examination& all);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_CONFIG_CHECKS_H_
