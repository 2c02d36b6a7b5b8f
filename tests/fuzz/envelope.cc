// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Any bytes as a value in etcd: they are something, whatever is shown of them fits a terminal, and
// what has a seed has all that Decrypt needs. They are asked for their time, too.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "audit/calendar.h"
#include "audit/envelope.h"
#include "audit/tally.h"
#include "fuzz/require.h"

namespace okms::audit {
namespace {

void RequireHarmless(absl::string_view text) {
  for (const char c : text) OKMS_REQUIRE(c >= 0x20 && c <= 0x7e);
}

bool Within(absl::string_view part, absl::string_view value) {
  return part.empty() ||
         (part.data() >= value.data() && part.data() + part.size() <= value.data() + value.size());
}

void Check(absl::string_view value) {
  const Envelope envelope = ReadEnvelope(value);
  RequireHarmless(envelope.name);
  RequireHarmless(envelope.wrong);
  OKMS_REQUIRE(!ToString(envelope.kind).empty());
  OKMS_REQUIRE(envelope.wrong.empty() == (envelope.kind != Kind::kMalformed));
  OKMS_REQUIRE(IsPlain(envelope.kind) || !envelope.name.empty());
  OKMS_REQUIRE(envelope.name.size() < 200);
  OKMS_REQUIRE(Within(envelope.key_id, value) && Within(envelope.encrypted_dek, value));

  const bool kms = envelope.kind == Kind::kKmsV2 || envelope.kind == Kind::kKmsV1;
  OKMS_REQUIRE(envelope.seed.has_value() == kms);
  OKMS_REQUIRE(envelope.encrypted_dek.empty() != kms);
  OKMS_REQUIRE(envelope.key_id.empty() == (envelope.kind != Kind::kKmsV2));
  OKMS_REQUIRE(ReadEnvelope(value).seed == envelope.seed);

  for (const Kind kind : {Kind::kProtobuf, Kind::kJson}) {
    const std::optional<absl::Time> time = CreationTime(value, kind);
    OKMS_REQUIRE(!time || *time > absl::FromCivil(absl::CivilYear(2013), absl::UTCTimeZone()));
  }
  Tally tally("/registry/");
  tally.Add({value, value, 1, 1, Standing::kLive}, envelope);
  OKMS_REQUIRE(tally.groups().size() == 1);
  RequireHarmless(tally.groups().begin()->first.resource);
}

}  // namespace
}  // namespace okms::audit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  okms::audit::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
