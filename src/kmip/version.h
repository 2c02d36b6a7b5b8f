// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Protocol versions, which travel in headers and in Discover Versions (KMIP 1.4 section 6.1).

#ifndef OKMS_KMIP_VERSION_H_
#define OKMS_KMIP_VERSION_H_

#include <compare>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "kmip/ttlv.h"

namespace okms::kmip {

struct ProtocolVersion {
  int32_t major = 0;
  int32_t minor = 0;

  auto operator<=>(const ProtocolVersion&) const = default;
  std::string ToString() const;  // "1.4"

  // The Protocol Version structure.
  void Write(ttlv::Writer& writer) const;
  static absl::StatusOr<ProtocolVersion> Read(const ttlv::Item& structure);
};

// Those that we speak.
inline constexpr ProtocolVersion kLowestVersion{1, 0};
inline constexpr ProtocolVersion kHighestVersion{1, 4};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_VERSION_H_
