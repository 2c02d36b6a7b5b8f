// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/version.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "kmip/enums.h"

namespace okms::kmip {

std::string ProtocolVersion::ToString() const { return absl::StrCat(major, ".", minor); }

void ProtocolVersion::Write(ttlv::Writer& writer) const {
  writer.Structure(tag::kProtocolVersion, [&] {
    writer.Integer(tag::kProtocolVersionMajor, major);
    writer.Integer(tag::kProtocolVersionMinor, minor);
  });
}

absl::StatusOr<ProtocolVersion> ProtocolVersion::Read(const ttlv::Item& structure) {
  OKMS_ASSIGN_OR_RETURN(const ttlv::Item major, structure.Get(tag::kProtocolVersionMajor));
  OKMS_ASSIGN_OR_RETURN(const ttlv::Item minor, structure.Get(tag::kProtocolVersionMinor));
  ProtocolVersion version;
  OKMS_ASSIGN_OR_RETURN(version.major, major.AsInteger());
  OKMS_ASSIGN_OR_RETURN(version.minor, minor.AsInteger());
  return version;
}

}  // namespace okms::kmip
