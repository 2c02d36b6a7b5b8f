// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The checks of each host of the KMS, and of the key there.

#ifndef OKMS_DOCTOR_KMS_CHECKS_H_
#define OKMS_DOCTOR_KMS_CHECKS_H_

#include "doctor/examination.h"
#include "doctor/finding.h"

namespace okms::doctor {

Verdicts CheckResolve(Examination& all, Endpoint& endpoint);
Verdicts CheckConnect(Examination& all, Endpoint& endpoint);
// With the first request, since that is when a KMS of TLS 1.3 says that it does not take our
// certificate.
Verdicts CheckHandshake(Examination& all, Endpoint& endpoint);
Verdicts CheckVersion(Examination& all, Endpoint& endpoint);
Verdicts CheckClock(Examination& all, Endpoint& endpoint);
Verdicts CheckBatch(Examination& all, Endpoint& endpoint);

// Which key a label means.
Verdicts CheckKeyName(Examination& all, Endpoint& endpoint);
// What the KMS shows; where it does not, a round trip decides.
Verdicts CheckKeyState(Examination& all, Endpoint& endpoint);
Verdicts CheckKeyUsage(Examination& all, Endpoint& endpoint);
Verdicts CheckRoundTrip(Examination& all, Endpoint& endpoint);
// Whether each host reads what another one encrypted.
Verdicts CheckAgreement(Examination& all);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_KMS_CHECKS_H_
