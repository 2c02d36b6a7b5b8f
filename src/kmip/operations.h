// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The operations that we use, request and response side by side (KMIP 1.4 section 4). Each type has
// Write, which writes the fields of its payload in the specification's order, and Read, which takes
// them by tag and leaves unknown ones alone. Text and bytes are views: of the message for what was
// read, of the caller's data for what is written. Read's errors are kDataLoss.

#ifndef OKMS_KMIP_OPERATIONS_H_
#define OKMS_KMIP_OPERATIONS_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/secret.h"
#include "kmip/enums.h"
#include "kmip/ttlv.h"
#include "kmip/version.h"

namespace okms::kmip {

// Section 4.26.
struct DiscoverVersionsResponse {
  std::vector<ProtocolVersion> versions;
  void Write(ttlv::Writer& writer) const;
  static absl::StatusOr<DiscoverVersionsResponse> Read(const ttlv::Item& payload);
};
struct DiscoverVersionsRequest {
  static constexpr Operation kOperation = Operation::kDiscoverVersions;
  using Response = DiscoverVersionsResponse;
  std::vector<ProtocolVersion> versions;  // most wanted first
  void Write(ttlv::Writer& writer) const;
  static absl::StatusOr<DiscoverVersionsRequest> Read(const ttlv::Item& payload);
};

// Section 4.25, of which we ask for the operations only.
struct QueryResponse {
  std::vector<Operation> operations;
  void Write(ttlv::Writer& writer) const;
  static absl::StatusOr<QueryResponse> Read(const ttlv::Item& payload);
};
struct QueryRequest {
  static constexpr Operation kOperation = Operation::kQuery;
  using Response = QueryResponse;
  std::vector<QueryFunction> functions;
  void Write(ttlv::Writer& writer) const;
  static absl::StatusOr<QueryRequest> Read(const ttlv::Item& payload);
};

// Section 4.9. All that is given must match. Reading fails on attributes other than these.
struct LocateResponse {
  std::vector<absl::string_view> unique_identifiers;
  void Write(ttlv::Writer& writer) const;
  static absl::StatusOr<LocateResponse> Read(const ttlv::Item& payload);
};
struct LocateRequest {
  static constexpr Operation kOperation = Operation::kLocate;
  using Response = LocateResponse;
  std::optional<absl::string_view> name;
  std::optional<ObjectType> object_type;
  std::optional<State> state;
  void Write(ttlv::Writer& writer) const;
  static absl::StatusOr<LocateRequest> Read(const ttlv::Item& payload);
};

// Section 4.12, for the attributes that tell whether a key is fit, and its names. A server leaves
// out what has no value.
struct GetAttributesResponse {
  absl::string_view unique_identifier;
  std::optional<ObjectType> object_type;
  std::optional<State> state;
  std::optional<CryptographicAlgorithm> algorithm;
  std::optional<int32_t> length;      // bits
  std::optional<int32_t> usage_mask;  // kUsageEncrypt | ...
  std::vector<absl::string_view> names = {};
  void Write(ttlv::Writer& writer) const;
  static absl::StatusOr<GetAttributesResponse> Read(const ttlv::Item& payload);
};
struct GetAttributesRequest {
  static constexpr Operation kOperation = Operation::kGetAttributes;
  using Response = GetAttributesResponse;
  absl::string_view unique_identifier;
  std::vector<absl::string_view> names;
  void Write(ttlv::Writer& writer) const;
  static absl::StatusOr<GetAttributesRequest> Read(const ttlv::Item& payload);
};

// Section 3.6, the fields that matter to a block cipher.
struct CryptographicParameters {
  std::optional<BlockCipherMode> block_cipher_mode;
  std::optional<uint32_t> padding_method;
  std::optional<CryptographicAlgorithm> algorithm;
  std::optional<bool> random_iv;
  std::optional<int32_t> iv_length;   // bytes
  std::optional<int32_t> tag_length;  // bytes
  void Write(ttlv::Writer& writer) const;
  static absl::StatusOr<CryptographicParameters> Read(const ttlv::Item& structure);
};

// Section 4.29. An absent optional is not sent; an empty one is sent empty.
struct EncryptResponse {
  std::optional<absl::string_view> unique_identifier;
  std::optional<ByteView> data;
  std::optional<ByteView> iv;   // the one that the server used, if it says so
  std::optional<ByteView> tag;  // KMIP 1.4; some servers answer with it before
  void Write(ttlv::Writer& writer) const;
  static absl::StatusOr<EncryptResponse> Read(const ttlv::Item& payload);
};
struct EncryptRequest {
  static constexpr Operation kOperation = Operation::kEncrypt;
  using Response = EncryptResponse;
  std::optional<absl::string_view> unique_identifier;
  std::optional<CryptographicParameters> parameters;
  std::optional<ByteView> data;
  std::optional<ByteView> iv;
  std::optional<ByteView> additional_data;  // KMIP 1.4
  void Write(ttlv::Writer& writer) const;
  static absl::StatusOr<EncryptRequest> Read(const ttlv::Item& payload);
};

// Section 4.30.
struct DecryptResponse {
  std::optional<absl::string_view> unique_identifier;
  std::optional<ByteView> data;
  void Write(ttlv::Writer& writer) const;
  static absl::StatusOr<DecryptResponse> Read(const ttlv::Item& payload);
};
struct DecryptRequest {
  static constexpr Operation kOperation = Operation::kDecrypt;
  using Response = DecryptResponse;
  std::optional<absl::string_view> unique_identifier;
  std::optional<CryptographicParameters> parameters;
  std::optional<ByteView> data;
  std::optional<ByteView> iv;
  std::optional<ByteView> additional_data;  // KMIP 1.4
  std::optional<ByteView> tag;              // KMIP 1.4
  void Write(ttlv::Writer& writer) const;
  static absl::StatusOr<DecryptRequest> Read(const ttlv::Item& payload);
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_OPERATIONS_H_
