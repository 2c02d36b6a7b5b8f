// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The checks of kube-apiserver's file. What it refuses, and what it takes but means harm, by
// pkg/apis/apiserver/validation/validation_encryption.go of k8s.io/apiserver.

#ifndef OKMS_DOCTOR_ENCRYPTION_CHECKS_H_
#define OKMS_DOCTOR_ENCRYPTION_CHECKS_H_

#include "doctor/examination.h"
#include "doctor/finding.h"

namespace okms::doctor {

// Reads it.
Verdicts CheckEncryptionConfig(Examination& all);

// All that follow look at what was read. Is there a field that kube-apiserver does not know?
Verdicts CheckFields(Examination& all);
// Is there a kms provider with our socket?
Verdicts CheckApiserverEndpoint(Examination& all);
// At those, or, where there is none, at all of kms.
Verdicts CheckApiVersion(Examination& all);
Verdicts CheckCacheSize(Examination& all);
Verdicts CheckProviderName(Examination& all);
Verdicts CheckApiserverTimeout(Examination& all);
// At their places among the others.
Verdicts CheckProviderOrder(Examination& all);
Verdicts CheckIdentity(Examination& all);
Verdicts CheckDuplicates(Examination& all);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_ENCRYPTION_CHECKS_H_
