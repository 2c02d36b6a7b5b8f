// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which certificates the running plugin uses.

#ifndef OKMS_DOCTOR_IN_USE_H_
#define OKMS_DOCTOR_IN_USE_H_

#include <string>
#include <vector>

#include "doctor/finding.h"

namespace okms::doctor {

struct Examination;

// As it says itself.
struct InUse {
  struct Certificate {
    std::string option;  // that named the file: "--client-cert"
    std::string path;
    double not_before = 0;  // Unix times
    double not_after = 0;
  };
  std::vector<Certificate> certificates;
  std::string trouble;  // why they are not those on disk; empty: none that it knows of
};

// Whether they are those of the files.
Verdicts CheckInUse(Examination& all);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_IN_USE_H_
