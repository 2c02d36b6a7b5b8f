// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "mock_kms/handler.h"

#include <algorithm>
#include <ctime>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mock_kms/aes_gcm.h"
#include "mock_kms/get.h"
#include "mock_kms/random.h"

namespace okms::test {
namespace {

using kmip::BlockCipherMode;
using kmip::CryptographicParameters;
using kmip::DecryptRequest;
using kmip::DecryptResponse;
using kmip::EncryptRequest;
using kmip::EncryptResponse;
using kmip::Operation;
using kmip::ProtocolVersion;
using kmip::Request;
using kmip::Response;
using kmip::ResultReason;

constexpr ProtocolVersion kWithDiscoverVersions{1, 1};
constexpr ProtocolVersion kWithCryptography{1, 2};
constexpr ProtocolVersion kWithTagField{1, 4};
constexpr std::size_t kIvSize = 12;

bool IsGcm(const std::optional<CryptographicParameters>& parameters) {
  return parameters && parameters->block_cipher_mode == BlockCipherMode::kGcm;
}

std::size_t TagSize(const CryptographicParameters& parameters) {
  return static_cast<std::size_t>(parameters.tag_length.value_or(16));
}

Response HeaderFor(const Request& request) {
  Response response;
  response.version = request.version;
  response.operation = request.operation;
  response.batch_item_id = request.batch_item_id;
  return response;
}

Response Failure(const Request& request, ResultReason reason, std::string words) {
  Response response = HeaderFor(request);
  response.status = kmip::ResultStatus::kFailed;
  response.reason = reason;
  response.message = std::move(words);
  return response;
}

// As many servers do, in the lowest version, and without saying of what operation.
WipedBytes RefuseMessage(ResultReason reason, std::string words) {
  Request unread;
  unread.version = kmip::kLowestVersion;
  Response refusal = Failure(unread, reason, std::move(words));
  refusal.operation.reset();
  return Response::Encode({&refusal, 1}, std::time(nullptr));
}

// KMIP 1.4 section 6.4: with several items, each has an id of its own.
bool HaveIds(const std::vector<Request>& requests) {
  std::set<absl::string_view> ids;
  for (const Request& request : requests) ids.insert(AsText(request.batch_item_id));
  return requests.size() == 1 || (ids.size() == requests.size() && ids.count("") == 0);
}

// What the faults of a reply do to the types that they can touch.
template <typename ResponseType>
void Spoil(ResponseType&, FaultKind, std::string&) {}

template <typename ResponseType>
void SpoilData(ResponseType& response, FaultKind kind, std::string& storage) {
  if (kind == FaultKind::kOtherKey) response.unique_identifier = "another-key";
  if (!response.data || response.data->empty()) return;
  if (kind == FaultKind::kShortData)
    response.data = response.data->first(response.data->size() - 1);
  if (kind == FaultKind::kWrongData) {
    storage = std::string(AsText(*response.data));
    storage[0] = static_cast<char>(storage[0] ^ 1);
    response.data = AsBytes(storage);
  }
}
void Spoil(EncryptResponse& response, FaultKind kind, std::string& storage) {
  SpoilData(response, kind, storage);
}
void Spoil(DecryptResponse& response, FaultKind kind, std::string& storage) {
  SpoilData(response, kind, storage);
}
void Spoil(kmip::GetAttributesResponse& response, FaultKind kind, std::string&) {
  if (kind == FaultKind::kOtherKey) response.unique_identifier = "another-key";
}

}  // namespace

bool Handler::Knows(ProtocolVersion version) const {
  return std::find(options_.versions.begin(), options_.versions.end(), version) !=
         options_.versions.end();
}

bool Handler::HasOperation(ProtocolVersion version, Operation operation) const {
  switch (operation) {
    case Operation::kDiscoverVersions: return version >= kWithDiscoverVersions;
    case Operation::kEncrypt:
    case Operation::kDecrypt:
      return version >= kWithCryptography || options_.cryptography_below_1_2;
    default: return true;
  }
}

std::variant<Handler::Refusal, MockKey> Handler::KeyFor(absl::string_view id, int32_t usage) const {
  const std::optional<MockKey> key = keys_.Find(id);
  if (!key) return Refusal{ResultReason::kItemNotFound, absl::StrCat("no object ", id)};
  if (key->state != kmip::State::kActive) {
    return Refusal{ResultReason::kPermissionDenied,
                   absl::StrCat("the object is ", ToString(key->state))};
  }
  if ((key->usage_mask & usage) == 0) {
    return Refusal{ResultReason::kPermissionDenied, "the usage mask does not allow this"};
  }
  return *key;
}

Handler::Result<kmip::DiscoverVersionsResponse> Handler::Serve(
    const kmip::DiscoverVersionsRequest& asked, ProtocolVersion, std::string&) const {
  kmip::DiscoverVersionsResponse answer;
  for (const ProtocolVersion v : options_.versions) {
    if (asked.versions.empty() ||
        std::find(asked.versions.begin(), asked.versions.end(), v) != asked.versions.end()) {
      answer.versions.push_back(v);
    }
  }
  return answer;
}

Handler::Result<kmip::QueryResponse> Handler::Serve(const kmip::QueryRequest&,
                                                    ProtocolVersion version, std::string&) const {
  kmip::QueryResponse answer{{Operation::kLocate, Operation::kGetAttributes, Operation::kQuery}};
  for (const Operation operation : {Operation::kEncrypt, Operation::kDecrypt}) {
    if (HasOperation(version, operation)) answer.operations.push_back(operation);
  }
  return answer;
}

Handler::Result<kmip::LocateResponse> Handler::Serve(const kmip::LocateRequest& wanted,
                                                     ProtocolVersion, std::string& storage) const {
  std::vector<std::string> ids;
  for (const MockKey& key : keys_.List()) {
    if ((!wanted.name || options_.ignore_name || key.name == *wanted.name) &&
        (!wanted.object_type || key.object_type == *wanted.object_type) &&
        (!wanted.state || key.state == *wanted.state)) {
      ids.push_back(key.id);
    }
  }
  storage = absl::StrJoin(ids, "");
  kmip::LocateResponse answer;
  absl::string_view rest = storage;
  for (const std::string& id : ids) {
    answer.unique_identifiers.push_back(rest.substr(0, id.size()));
    rest.remove_prefix(id.size());
  }
  return answer;
}

Handler::Result<kmip::GetAttributesResponse> Handler::Serve(
    const kmip::GetAttributesRequest& wanted, ProtocolVersion, std::string& storage) const {
  if (!options_.show_attributes) {
    return Refusal{ResultReason::kPermissionDenied, "attributes are not shown"};
  }
  const std::optional<MockKey> key = keys_.Find(wanted.unique_identifier);
  if (!key)
    return Refusal{ResultReason::kItemNotFound,
                   absl::StrCat("no object ", wanted.unique_identifier)};
  kmip::GetAttributesResponse answer;
  answer.unique_identifier = wanted.unique_identifier;
  const auto asked_for = [&](absl::string_view name) {
    return wanted.names.empty() ||
           std::find(wanted.names.begin(), wanted.names.end(), name) != wanted.names.end();
  };
  if (asked_for(kmip::attribute::kObjectType)) answer.object_type = key->object_type;
  if (asked_for(kmip::attribute::kState)) answer.state = key->state;
  if (asked_for(kmip::attribute::kCryptographicAlgorithm)) answer.algorithm = key->algorithm;
  if (asked_for(kmip::attribute::kCryptographicLength)) {
    answer.length = static_cast<int32_t>(key->material.size() * 8);
  }
  if (asked_for(kmip::attribute::kCryptographicUsageMask)) answer.usage_mask = key->usage_mask;
  if (asked_for(kmip::attribute::kName) && !key->name.empty()) {
    storage = key->name;
    answer.names = {storage};
  }
  return answer;
}

Handler::Result<EncryptResponse> Handler::Serve(const EncryptRequest& wanted,
                                                ProtocolVersion version,
                                                std::string& storage) const {
  auto found = KeyFor(wanted.unique_identifier.value_or(""), kmip::kUsageEncrypt);
  if (auto* refusal = std::get_if<Refusal>(&found)) return *refusal;
  if (!IsGcm(wanted.parameters)) {
    return Refusal{ResultReason::kInvalidField, "only AES-GCM is served"};
  }
  if (!wanted.data) return Refusal{ResultReason::kMissingData, "no data"};
  const std::string random = RandomBytes(kIvSize);
  const bool own_iv = options_.own_iv || !wanted.iv;
  const ByteView iv = own_iv ? AsBytes(random) : *wanted.iv;
  const auto encrypted = GcmEncrypt(AsBytes(std::get<MockKey>(found).material), iv,
                                    wanted.additional_data.value_or(ByteView()), *wanted.data,
                                    TagSize(*wanted.parameters));
  if (!encrypted) return Refusal{ResultReason::kInvalidField, "AES-GCM refuses this"};
  storage = absl::StrCat(encrypted->data, encrypted->tag, random);
  const ByteView all = AsBytes(storage);
  const std::size_t size = encrypted->data.size();
  EncryptResponse answer;
  answer.unique_identifier = wanted.unique_identifier;
  answer.data = all.first(size);
  if (own_iv) answer.iv = all.last(kIvSize);
  const ByteView tag = all.subspan(size, encrypted->tag.size());
  if (version >= kWithTagField || options_.tag_below_1_4 == TagBelow14::kInField) {
    answer.tag = tag;
  } else if (options_.tag_below_1_4 == TagBelow14::kInData) {
    answer.data = all.first(size + tag.size());
  }
  return answer;
}

Handler::Result<DecryptResponse> Handler::Serve(const DecryptRequest& wanted,
                                                ProtocolVersion version,
                                                std::string& storage) const {
  auto found = KeyFor(wanted.unique_identifier.value_or(""), kmip::kUsageDecrypt);
  if (auto* refusal = std::get_if<Refusal>(&found)) return *refusal;
  if (!IsGcm(wanted.parameters)) {
    return Refusal{ResultReason::kInvalidField, "only AES-GCM is served"};
  }
  if (!wanted.data || !wanted.iv) {
    return Refusal{ResultReason::kInvalidField, "no data, or no IV"};
  }
  ByteView data = *wanted.data;
  ByteView tag = wanted.tag.value_or(ByteView());
  const bool in_field = version >= kWithTagField || options_.tag_below_1_4 == TagBelow14::kInField;
  if (in_field != wanted.tag.has_value()) {
    return Refusal{ResultReason::kInvalidField, "the tag is not where it belongs"};
  }
  if (!in_field) {
    const std::size_t tag_size = std::min(TagSize(*wanted.parameters), data.size());
    tag = data.last(tag_size);
    data = data.first(data.size() - tag_size);
  }
  const auto decrypted = GcmDecrypt(AsBytes(std::get<MockKey>(found).material), *wanted.iv,
                                    wanted.additional_data.value_or(ByteView()), data, tag);
  if (!decrypted) {
    return Refusal{ResultReason::kCryptographicFailure, "the tag does not fit"};
  }
  storage = *decrypted;
  DecryptResponse answer;
  answer.unique_identifier = wanted.unique_identifier;
  answer.data = AsBytes(storage);
  return answer;
}

template <typename OperationRequest>
Handler::Answered Handler::Reply(const Request& request, std::optional<Fault> fault) const {
  const auto refuse = [&](Refusal refusal) {
    return Answered{Failure(request, refusal.reason, std::move(refusal.message))};
  };
  const auto parsed = OperationRequest::Read(request.payload);
  if (!parsed.ok()) {
    return refuse({ResultReason::kInvalidField, std::string(parsed.status().message())});
  }
  std::string storage;  // what the reply's views may point to
  Result<typename OperationRequest::Response> result = Serve(*parsed, request.version, storage);
  if (auto* refusal = std::get_if<Refusal>(&result)) return refuse(std::move(*refusal));
  auto& answer = std::get<typename OperationRequest::Response>(result);
  Answered answered{HeaderFor(request)};
  Response& response = answered.response;
  std::string spoiled;
  if (fault) {
    switch (fault->kind) {
      case FaultKind::kWrongOperation: response.operation = Operation::kQuery; break;
      case FaultKind::kWrongVersion: response.version = {2, 0}; break;
      case FaultKind::kNoOperation: response.operation.reset(); break;
      case FaultKind::kOtherId: response.batch_item_id = AsBytes("of another request"); break;
      case FaultKind::kNoId: response.batch_item_id = {}; break;
      case FaultKind::kNoPayload: return answered;
      case FaultKind::kRefuse: return refuse({fault->reason, "told to"});
      default: Spoil(answer, fault->kind, spoiled); break;
    }
  }
  ttlv::Writer writer;
  writer.Structure(kmip::tag::kResponsePayload, [&] { answer.Write(writer); });
  answered.payload = writer.Take();
  response.payload = ttlv::Parse(answered.payload).value();
  return answered;
}

Handler::Answered Handler::AnswerItem(const Request& request, std::optional<Fault> fault) const {
  if (HasOperation(request.version, request.operation)) {
    switch (request.operation) {
      case Operation::kDiscoverVersions:
        return Reply<kmip::DiscoverVersionsRequest>(request, fault);
      case Operation::kQuery: return Reply<kmip::QueryRequest>(request, fault);
      case Operation::kLocate: return Reply<kmip::LocateRequest>(request, fault);
      case Operation::kGetAttributes: return Reply<kmip::GetAttributesRequest>(request, fault);
      case Operation::kEncrypt: return Reply<EncryptRequest>(request, fault);
      case Operation::kDecrypt: return Reply<DecryptRequest>(request, fault);
    }
  }
  return {Failure(request, ResultReason::kOperationNotSupported,
                  absl::StrCat("not supported by KMIP ", request.version.ToString()))};
}

WipedBytes Handler::Answer(ByteView message, const std::optional<Hit>& hit) {
  const auto requests = Request::Decode(message);
  if (!requests.ok()) {
    return RefuseMessage(ResultReason::kInvalidMessage, std::string(requests.status().message()));
  }
  counts_.With([&](auto& counts) {
    for (const Request& request : *requests) ++counts[static_cast<uint32_t>(request.operation)];
  });
  if (!Knows(requests->front().version)) {
    return RefuseMessage(ResultReason::kInvalidMessage, "unsupported protocol version");
  }
  if (const Request& first = requests->front();
      options_.answer_get && first.operation == Operation{kGet}) {
    return AnswerGet(first.version, first.batch_item_id, first.payload);
  }
  if (!HaveIds(*requests)) {
    return RefuseMessage(ResultReason::kInvalidMessage, "a batch item has no id of its own");
  }
  if (hit && hit->fault.kind == FaultKind::kRefuseBatch) {
    return RefuseMessage(hit->fault.reason, "told to");
  }
  std::vector<Answered> answered;
  for (const Request& request : *requests) {
    answered.push_back(AnswerItem(request, hit ? hit->OfItem(answered.size()) : std::nullopt));
    if (answered.back().response.status != kmip::ResultStatus::kSuccess &&
        request.on_error != kmip::OnBatchError::kContinue) {
      break;
    }
  }
  std::vector<Response> responses;
  for (const Answered& item : answered) responses.push_back(item.response);
  if (hit) SpoilBatch(responses, hit->fault.kind);
  return Response::Encode(responses, std::time(nullptr) + options_.clock_ahead);
}

}  // namespace okms::test
