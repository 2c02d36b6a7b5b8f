// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/operations.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace okms::kmip {
namespace {

using ttlv::Item;
using ttlv::Writer;

// Optional fields, one function a direction: the two lists of an operation then read like the
// specification's table.

void Put(Writer& writer, ttlv::Tag tag, const std::optional<absl::string_view>& value) {
  if (value) writer.Text(tag, *value);
}
void Put(Writer& writer, ttlv::Tag tag, const std::optional<ByteView>& value) {
  if (value) writer.Bytes(tag, *value);
}
void Put(Writer& writer, ttlv::Tag tag, const std::optional<int32_t>& value) {
  if (value) writer.Integer(tag, *value);
}
void Put(Writer& writer, ttlv::Tag tag, const std::optional<bool>& value) {
  if (value) writer.Boolean(tag, *value);
}
template <typename Enum>
requires std::is_enum_v<Enum> || std::is_same_v<Enum, uint32_t>
void Put(Writer& writer, ttlv::Tag tag, const std::optional<Enum>& value) {
  if (value) writer.Enumeration(tag, static_cast<uint32_t>(*value));
}
void Put(Writer& writer, ttlv::Tag tag, const std::optional<CryptographicParameters>& value) {
  if (value) writer.Structure(tag, [&] { value->Write(writer); });
}

absl::Status Read(const Item& item, std::optional<absl::string_view>& value) {
  OKMS_ASSIGN_OR_RETURN(value, item.AsText());
  return absl::OkStatus();
}
absl::Status Read(const Item& item, std::optional<ByteView>& value) {
  OKMS_ASSIGN_OR_RETURN(value, item.AsBytes());
  return absl::OkStatus();
}
absl::Status Read(const Item& item, std::optional<int32_t>& value) {
  OKMS_ASSIGN_OR_RETURN(value, item.AsInteger());
  return absl::OkStatus();
}
absl::Status Read(const Item& item, std::optional<bool>& value) {
  OKMS_ASSIGN_OR_RETURN(value, item.AsBoolean());
  return absl::OkStatus();
}
template <typename Enum>
requires std::is_enum_v<Enum> || std::is_same_v<Enum, uint32_t> absl::Status Read(
    const Item& item, std::optional<Enum>& value) {
  OKMS_ASSIGN_OR_RETURN(const uint32_t number, item.AsEnumeration());
  value = static_cast<Enum>(number);
  return absl::OkStatus();
}
absl::Status Read(const Item& item, std::optional<CryptographicParameters>& value) {
  OKMS_RETURN_IF_ERROR(item.ExpectType(ttlv::Type::kStructure));
  OKMS_ASSIGN_OR_RETURN(value, CryptographicParameters::Read(item));
  return absl::OkStatus();
}

template <typename T>
absl::Status Take(const Item& payload, ttlv::Tag tag, std::optional<T>& value) {
  OKMS_ASSIGN_OR_RETURN(const std::optional<Item> item, payload.Find(tag));
  return item ? Read(*item, value) : absl::OkStatus();
}

// Every child with this tag, in order; the others are left alone.
template <typename T, typename Parse>
absl::StatusOr<std::vector<T>> TakeAll(const Item& payload, ttlv::Tag tag, Parse&& parse) {
  std::vector<T> values;
  for (const Item child : payload.children()) {
    if (child.tag() != tag) continue;
    OKMS_ASSIGN_OR_RETURN(T value, parse(child));
    values.push_back(std::move(value));
  }
  return values;
}

template <typename Enum>
absl::StatusOr<Enum> AsEnum(const Item& item) {
  OKMS_ASSIGN_OR_RETURN(const uint32_t value, item.AsEnumeration());
  return static_cast<Enum>(value);
}

void WriteVersions(Writer& writer, const std::vector<ProtocolVersion>& versions) {
  for (const ProtocolVersion& version : versions) version.Write(writer);
}

absl::StatusOr<std::vector<ProtocolVersion>> ReadVersions(const Item& payload) {
  return TakeAll<ProtocolVersion>(payload, tag::kProtocolVersion, ProtocolVersion::Read);
}

// An attribute with a value of one simple type (section 2.1.1).
template <typename T>
void PutAttribute(Writer& writer, absl::string_view name, const std::optional<T>& value) {
  if (!value) return;
  writer.Structure(tag::kAttribute, [&] {
    writer.Text(tag::kAttributeName, name);
    Put(writer, tag::kAttributeValue, value);
  });
}

// Names have a structure of their own (section 3.2).
void PutName(Writer& writer, absl::string_view name) {
  writer.Structure(tag::kAttribute, [&] {
    writer.Text(tag::kAttributeName, attribute::kName);
    writer.Structure(tag::kAttributeValue, [&] {
      writer.Text(tag::kNameValue, name);
      writer.Enumeration(tag::kNameType, static_cast<uint32_t>(NameType::kUninterpretedTextString));
    });
  });
}

absl::StatusOr<absl::string_view> ReadName(const Item& value) {
  OKMS_ASSIGN_OR_RETURN(const Item text, value.Get(tag::kNameValue));
  return text.AsText();
}

struct Attribute {
  absl::string_view name;
  Item value;
};

absl::StatusOr<std::vector<Attribute>> ReadAttributes(const Item& payload) {
  return TakeAll<Attribute>(
      payload, tag::kAttribute, [](const Item& item) -> absl::StatusOr<Attribute> {
        OKMS_ASSIGN_OR_RETURN(const Item name, item.Get(tag::kAttributeName));
        Attribute attribute;
        OKMS_ASSIGN_OR_RETURN(attribute.name, name.AsText());
        OKMS_ASSIGN_OR_RETURN(attribute.value, item.Get(tag::kAttributeValue));
        return attribute;
      });
}

absl::StatusOr<absl::string_view> TakeUniqueIdentifier(const Item& payload) {
  OKMS_ASSIGN_OR_RETURN(const Item item, payload.Get(tag::kUniqueIdentifier));
  return item.AsText();
}

// What the requests of Encrypt and Decrypt have in common (sections 4.29 and 4.30).
template <typename Request>
void PutCipher(Writer& writer, const Request& request) {
  Put(writer, tag::kUniqueIdentifier, request.unique_identifier);
  Put(writer, tag::kCryptographicParameters, request.parameters);
  Put(writer, tag::kData, request.data);
  Put(writer, tag::kIvCounterNonce, request.iv);
  Put(writer, tag::kAuthenticatedEncryptionAdditionalData, request.additional_data);
}

template <typename Request>
absl::Status TakeCipher(const Item& payload, Request& request) {
  OKMS_RETURN_IF_ERROR(Take(payload, tag::kUniqueIdentifier, request.unique_identifier));
  OKMS_RETURN_IF_ERROR(Take(payload, tag::kCryptographicParameters, request.parameters));
  OKMS_RETURN_IF_ERROR(Take(payload, tag::kData, request.data));
  OKMS_RETURN_IF_ERROR(Take(payload, tag::kIvCounterNonce, request.iv));
  return Take(payload, tag::kAuthenticatedEncryptionAdditionalData, request.additional_data);
}

}  // namespace

void DiscoverVersionsRequest::Write(Writer& writer) const { WriteVersions(writer, versions); }

absl::StatusOr<DiscoverVersionsRequest> DiscoverVersionsRequest::Read(const Item& payload) {
  OKMS_ASSIGN_OR_RETURN(auto versions, ReadVersions(payload));
  return DiscoverVersionsRequest{std::move(versions)};
}

void DiscoverVersionsResponse::Write(Writer& writer) const { WriteVersions(writer, versions); }

absl::StatusOr<DiscoverVersionsResponse> DiscoverVersionsResponse::Read(const Item& payload) {
  OKMS_ASSIGN_OR_RETURN(auto versions, ReadVersions(payload));
  return DiscoverVersionsResponse{std::move(versions)};
}

void QueryRequest::Write(Writer& writer) const {
  for (const QueryFunction function : functions) {
    writer.Enumeration(tag::kQueryFunction, static_cast<uint32_t>(function));
  }
}

absl::StatusOr<QueryRequest> QueryRequest::Read(const Item& payload) {
  OKMS_ASSIGN_OR_RETURN(
      auto functions, TakeAll<QueryFunction>(payload, tag::kQueryFunction, AsEnum<QueryFunction>));
  return QueryRequest{std::move(functions)};
}

void QueryResponse::Write(Writer& writer) const {
  for (const Operation operation : operations) {
    writer.Enumeration(tag::kOperation, static_cast<uint32_t>(operation));
  }
}

absl::StatusOr<QueryResponse> QueryResponse::Read(const Item& payload) {
  OKMS_ASSIGN_OR_RETURN(auto operations,
                        TakeAll<Operation>(payload, tag::kOperation, AsEnum<Operation>));
  return QueryResponse{std::move(operations)};
}

void LocateRequest::Write(Writer& writer) const {
  if (name) PutName(writer, *name);
  PutAttribute(writer, attribute::kObjectType, object_type);
  PutAttribute(writer, attribute::kState, state);
}

absl::StatusOr<LocateRequest> LocateRequest::Read(const Item& payload) {
  LocateRequest request;
  OKMS_ASSIGN_OR_RETURN(const auto attributes, ReadAttributes(payload));
  for (const auto& [name, value] : attributes) {
    if (name == attribute::kName) {
      OKMS_ASSIGN_OR_RETURN(request.name, ReadName(value));
    } else if (name == attribute::kObjectType) {
      OKMS_ASSIGN_OR_RETURN(request.object_type, AsEnum<ObjectType>(value));
    } else if (name == attribute::kState) {
      OKMS_ASSIGN_OR_RETURN(request.state, AsEnum<State>(value));
    } else {
      return absl::DataLossError(absl::StrCat("Locate by \"", Printable(name), "\" is unknown"));
    }
  }
  return request;
}

void LocateResponse::Write(Writer& writer) const {
  for (const absl::string_view id : unique_identifiers) writer.Text(tag::kUniqueIdentifier, id);
}

absl::StatusOr<LocateResponse> LocateResponse::Read(const Item& payload) {
  OKMS_ASSIGN_OR_RETURN(auto ids,
                        TakeAll<absl::string_view>(payload, tag::kUniqueIdentifier,
                                                   [](const Item& item) { return item.AsText(); }));
  return LocateResponse{std::move(ids)};
}

void GetAttributesRequest::Write(Writer& writer) const {
  writer.Text(tag::kUniqueIdentifier, unique_identifier);
  for (const absl::string_view name : names) writer.Text(tag::kAttributeName, name);
}

absl::StatusOr<GetAttributesRequest> GetAttributesRequest::Read(const Item& payload) {
  GetAttributesRequest request;
  OKMS_ASSIGN_OR_RETURN(request.unique_identifier, TakeUniqueIdentifier(payload));
  OKMS_ASSIGN_OR_RETURN(request.names,
                        TakeAll<absl::string_view>(payload, tag::kAttributeName,
                                                   [](const Item& item) { return item.AsText(); }));
  return request;
}

void GetAttributesResponse::Write(Writer& writer) const {
  writer.Text(tag::kUniqueIdentifier, unique_identifier);
  PutAttribute(writer, attribute::kState, state);
  PutAttribute(writer, attribute::kObjectType, object_type);
  PutAttribute(writer, attribute::kCryptographicAlgorithm, algorithm);
  PutAttribute(writer, attribute::kCryptographicLength, length);
  PutAttribute(writer, attribute::kCryptographicUsageMask, usage_mask);
  for (const absl::string_view name : names) PutName(writer, name);
}

absl::StatusOr<GetAttributesResponse> GetAttributesResponse::Read(const Item& payload) {
  GetAttributesResponse response;
  OKMS_ASSIGN_OR_RETURN(response.unique_identifier, TakeUniqueIdentifier(payload));
  OKMS_ASSIGN_OR_RETURN(const auto attributes, ReadAttributes(payload));
  // None of these but the name has several values: of two, nobody knows which counts.
  const auto once = [](const Attribute& attribute, auto& field) {
    if (!field) return kmip::Read(attribute.value, field);
    return absl::DataLossError(absl::StrCat("attribute \"", attribute.name, "\" comes twice"));
  };
  for (const Attribute& attribute : attributes) {
    absl::Status status;
    if (attribute.name == attribute::kState) {
      status = once(attribute, response.state);
    } else if (attribute.name == attribute::kObjectType) {
      status = once(attribute, response.object_type);
    } else if (attribute.name == attribute::kCryptographicAlgorithm) {
      status = once(attribute, response.algorithm);
    } else if (attribute.name == attribute::kCryptographicLength) {
      status = once(attribute, response.length);
    } else if (attribute.name == attribute::kCryptographicUsageMask) {
      status = once(attribute, response.usage_mask);
    } else if (attribute.name == attribute::kName) {
      OKMS_ASSIGN_OR_RETURN(const absl::string_view name, ReadName(attribute.value));
      response.names.push_back(name);
    }
    OKMS_RETURN_IF_ERROR(status);
  }
  return response;
}

void CryptographicParameters::Write(Writer& writer) const {
  Put(writer, tag::kBlockCipherMode, block_cipher_mode);
  Put(writer, tag::kPaddingMethod, padding_method);
  Put(writer, tag::kCryptographicAlgorithm, algorithm);
  Put(writer, tag::kRandomIv, random_iv);
  Put(writer, tag::kIvLength, iv_length);
  Put(writer, tag::kTagLength, tag_length);
}

absl::StatusOr<CryptographicParameters> CryptographicParameters::Read(const Item& structure) {
  CryptographicParameters parameters;
  OKMS_RETURN_IF_ERROR(Take(structure, tag::kBlockCipherMode, parameters.block_cipher_mode));
  OKMS_RETURN_IF_ERROR(Take(structure, tag::kPaddingMethod, parameters.padding_method));
  OKMS_RETURN_IF_ERROR(Take(structure, tag::kCryptographicAlgorithm, parameters.algorithm));
  OKMS_RETURN_IF_ERROR(Take(structure, tag::kRandomIv, parameters.random_iv));
  OKMS_RETURN_IF_ERROR(Take(structure, tag::kIvLength, parameters.iv_length));
  OKMS_RETURN_IF_ERROR(Take(structure, tag::kTagLength, parameters.tag_length));
  return parameters;
}

void EncryptRequest::Write(Writer& writer) const { PutCipher(writer, *this); }

absl::StatusOr<EncryptRequest> EncryptRequest::Read(const Item& payload) {
  EncryptRequest request;
  OKMS_RETURN_IF_ERROR(TakeCipher(payload, request));
  return request;
}

void EncryptResponse::Write(Writer& writer) const {
  Put(writer, tag::kUniqueIdentifier, unique_identifier);
  Put(writer, tag::kData, data);
  Put(writer, tag::kIvCounterNonce, iv);
  Put(writer, tag::kAuthenticatedEncryptionTag, tag);
}

absl::StatusOr<EncryptResponse> EncryptResponse::Read(const Item& payload) {
  EncryptResponse response;
  OKMS_RETURN_IF_ERROR(Take(payload, tag::kUniqueIdentifier, response.unique_identifier));
  OKMS_RETURN_IF_ERROR(Take(payload, tag::kData, response.data));
  OKMS_RETURN_IF_ERROR(Take(payload, tag::kIvCounterNonce, response.iv));
  OKMS_RETURN_IF_ERROR(Take(payload, tag::kAuthenticatedEncryptionTag, response.tag));
  return response;
}

void DecryptRequest::Write(Writer& writer) const {
  PutCipher(writer, *this);
  Put(writer, tag::kAuthenticatedEncryptionTag, tag);
}

absl::StatusOr<DecryptRequest> DecryptRequest::Read(const Item& payload) {
  DecryptRequest request;
  OKMS_RETURN_IF_ERROR(TakeCipher(payload, request));
  OKMS_RETURN_IF_ERROR(Take(payload, tag::kAuthenticatedEncryptionTag, request.tag));
  return request;
}

void DecryptResponse::Write(Writer& writer) const {
  Put(writer, tag::kUniqueIdentifier, unique_identifier);
  Put(writer, tag::kData, data);
}

absl::StatusOr<DecryptResponse> DecryptResponse::Read(const Item& payload) {
  DecryptResponse response;
  OKMS_RETURN_IF_ERROR(Take(payload, tag::kUniqueIdentifier, response.unique_identifier));
  OKMS_RETURN_IF_ERROR(Take(payload, tag::kData, response.data));
  return response;
}

}  // namespace okms::kmip
