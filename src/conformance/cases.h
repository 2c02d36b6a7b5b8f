// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What each row of the table looks at.

#ifndef OKMS_CONFORMANCE_CASES_H_
#define OKMS_CONFORMANCE_CASES_H_

#include "conformance/case.h"

namespace okms::conformance {

using Look = Verdict(Target& target);

// status_cases.cc
Look LookAtSocketFile, LookAtSocketMode;
Look LookAtStatus, LookAtVersion, LookAtHealthz, LookAtKeyId, LookAtStability, LookAtStatusTime;

// encrypt_cases.cc
Look LookAtEncrypt, LookAtCiphertext, LookAtEncryptKeyId, LookAtAnnotationNames,
    LookAtAnnotationSize, LookAtDistinctRecords, LookAtRepetition, LookForThePlaintext, LookAtSizes,
    LookAtUids;

// decrypt_cases.cc
Look LookAtRoundTrip, LookAtOtherConnection, LookAtFlippedBits, LookAtCutCiphertexts,
    LookAtEmptyCiphertext, LookAtLongCiphertexts, LookAtStrangeCiphertexts, LookAtUnknownKeys,
    LookAtAnnotations, LookAtErrorCodes;

// protocol_cases.cc
Look LookAtUnknownMethods, LookAtUnknownFields, LookAtMalformedMessages, LookAtLargeMessages,
    LookAtAuthorities, LookAtOtherProtocols, LookAtSilentClients;

// load_cases.cc
Look LookAtCallsAtOnce, LookAtEqualCallsAtOnce, LookAtManyCalls, LookAtManyConnections,
    LookAtCancelledCalls, LookAtShortDeadlines, LookAtNoDeadline;

// control_cases.cc
Look LookForTheRawKey, LookAtCostOfStatus, LookAtHangingKms, LookAtLostConnections, LookAtLostKms,
    LookAtStartWithoutKms, LookAtTermination, LookAtCrash, LookAtRotation, LookAtOldRecords;

}  // namespace okms::conformance

#endif  // OKMS_CONFORMANCE_CASES_H_
