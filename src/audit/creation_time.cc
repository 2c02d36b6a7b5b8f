// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "audit/calendar.h"
#include "audit/wire.h"

namespace okms::audit {
namespace {

constexpr std::size_t kMagic = 4;                  // "k8s\0"
constexpr std::int64_t kEarliest = 1'388'534'400;  // 2014: there was no Kubernetes before
constexpr std::int64_t kLatest = 253'402'300'800;  // the end of the year 9999

// The last field of that number, which is a message; empty where there is none.
absl::string_view Member(absl::string_view message, int number) {
  absl::string_view member;
  const bool whole = ForEachField(message, [&](const Field& field) {
    if (field.is_bytes && field.number == number) member = field.bytes;
  });
  return whole ? member : absl::string_view();
}

// runtime.Unknown.raw, its metadata.creationTimestamp.seconds.
std::optional<absl::Time> OfProtobuf(absl::string_view value) {
  if (value.size() < kMagic) return std::nullopt;
  const absl::string_view object = Member(value.substr(kMagic), 2);
  const absl::string_view time = Member(Member(object, 1), 8);
  std::uint64_t seconds = 0;
  const bool whole = ForEachField(time, [&](const Field& field) {
    if (!field.is_bytes && field.number == 1) seconds = field.varint;
  });
  if (!whole || seconds < kEarliest || seconds >= kLatest) return std::nullopt;
  return absl::FromUnixSeconds(static_cast<std::int64_t>(seconds));
}

// Stops at metadata.creationTimestamp, and keeps nothing else.
class Search : public nlohmann::json_sax<nlohmann::json> {
 public:
  const std::string& found() const { return found_; }

  bool key(string_t& name) override {
    if (depth_ == 1) in_metadata_ = name == "metadata";
    at_time_ = depth_ == 2 && in_metadata_ && name == "creationTimestamp";
    return true;
  }
  bool string(string_t& text) override {
    if (at_time_) found_ = text;
    return !at_time_;
  }
  bool start_object(std::size_t /*size*/) override { return Deeper(); }
  bool end_object() override { return Higher(); }
  bool start_array(std::size_t /*size*/) override { return Deeper(); }
  bool end_array() override { return Higher(); }
  bool null() override { return Other(); }
  bool boolean(bool /*value*/) override { return Other(); }
  bool number_integer(number_integer_t /*value*/) override { return Other(); }
  bool number_unsigned(number_unsigned_t /*value*/) override { return Other(); }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return Other(); }
  bool binary(binary_t& /*bytes*/) override { return Other(); }
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;
  }

 private:
  bool Deeper() {
    ++depth_;
    return Other();
  }
  bool Higher() {
    --depth_;
    return true;
  }
  bool Other() { return !at_time_; }

  int depth_ = 0;
  bool in_metadata_ = false;
  bool at_time_ = false;
  std::string found_;
};

std::optional<absl::Time> OfJson(absl::string_view value) {
  Search search;
  nlohmann::json::sax_parse(value.begin(), value.end(), &search);
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, search.found(), &time, &error)) return std::nullopt;
  if (time < absl::FromUnixSeconds(kEarliest) || time >= absl::FromUnixSeconds(kLatest)) {
    return std::nullopt;
  }
  return time;
}

}  // namespace

std::optional<absl::Time> CreationTime(absl::string_view value, Kind kind) {
  if (kind == Kind::kProtobuf) return OfProtobuf(value);
  if (kind == Kind::kJson) return OfJson(value);
  return std::nullopt;
}

}  // namespace okms::audit
