// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/message.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace okms::kmip {
namespace {

using ttlv::Item;
using ttlv::Writer;

struct Envelope {
  ProtocolVersion version;
  Item header;
  std::vector<Item> items;
};

// What requests and responses have in common: a header, then the batch items it counts.
absl::StatusOr<Envelope> OpenEnvelope(ByteView message, ttlv::Tag message_tag, ttlv::Tag header_tag,
                                      std::size_t most) {
  OKMS_ASSIGN_OR_RETURN(const Item root, ttlv::Parse(message));
  if (root.tag() != message_tag) {
    return absl::DataLossError(absl::StrCat("not the expected KMIP message: tag ",
                                            ttlv::TagText(root.tag()), " instead of ",
                                            ttlv::TagText(message_tag)));
  }
  std::optional<Item> header;
  std::vector<Item> items;
  std::size_t found = 0;
  for (const Item child : root.children()) {
    if (!header) {
      if (child.tag() != header_tag) {
        return absl::DataLossError("KMIP message out of order: the header does not come first");
      }
      header = child;
    } else if (child.tag() == tag::kBatchItem && ++found <= most) {
      items.push_back(child);
    }
  }
  if (!header) return absl::DataLossError("KMIP message without a header");
  OKMS_ASSIGN_OR_RETURN(const Item count_item, header->Get(tag::kBatchCount));
  OKMS_ASSIGN_OR_RETURN(const int32_t count, count_item.AsInteger());
  if (found == 0 || found > most || int64_t{count} != static_cast<int64_t>(found)) {
    return absl::DataLossError(absl::StrCat("KMIP message with ", found,
                                            " batch items, counted as ", count, "; expected 1",
                                            most > 1 ? absl::StrCat(" to ", most) : ""));
  }
  OKMS_ASSIGN_OR_RETURN(const Item version_item, header->Get(tag::kProtocolVersion));
  OKMS_ASSIGN_OR_RETURN(const ProtocolVersion version, ProtocolVersion::Read(version_item));
  return Envelope{version, *header, std::move(items)};
}

template <typename Enum>
absl::StatusOr<std::optional<Enum>> FindEnum(const Item& parent, ttlv::Tag tag) {
  OKMS_ASSIGN_OR_RETURN(const std::optional<Item> item, parent.Find(tag));
  if (!item) return std::nullopt;
  OKMS_ASSIGN_OR_RETURN(const uint32_t value, item->AsEnumeration());
  return static_cast<Enum>(value);
}

absl::StatusOr<ByteView> FindBatchItemId(const Item& item) {
  OKMS_ASSIGN_OR_RETURN(const std::optional<Item> id, item.Find(tag::kUniqueBatchItemId));
  return id ? id->AsBytes() : ByteView();
}

std::optional<int64_t> FindTimeStamp(const Item& header) {
  const auto item = header.Find(tag::kTimeStamp);
  if (!item.ok() || !*item) return std::nullopt;
  const auto time = (*item)->AsDateTime();
  return time.ok() ? std::optional(*time) : std::nullopt;
}

absl::StatusCode CodeOf(ResultReason reason) {
  switch (reason) {
    case ResultReason::kItemNotFound: return absl::StatusCode::kNotFound;
    case ResultReason::kPermissionDenied: return absl::StatusCode::kPermissionDenied;
    case ResultReason::kAuthenticationNotSuccessful: return absl::StatusCode::kUnauthenticated;
    case ResultReason::kOperationNotSupported:
    case ResultReason::kFeatureNotSupported: return absl::StatusCode::kUnimplemented;
    case ResultReason::kCryptographicFailure: return absl::StatusCode::kInvalidArgument;
    case ResultReason::kGeneralFailure: return absl::StatusCode::kInternal;
    default: return absl::StatusCode::kFailedPrecondition;
  }
}

absl::StatusOr<Request> ReadRequest(const Item& item) {
  Request request;
  OKMS_ASSIGN_OR_RETURN(const Item operation, item.Get(tag::kOperation));
  OKMS_ASSIGN_OR_RETURN(const uint32_t code, operation.AsEnumeration());
  request.operation = static_cast<Operation>(code);
  OKMS_ASSIGN_OR_RETURN(request.batch_item_id, FindBatchItemId(item));
  OKMS_ASSIGN_OR_RETURN(request.payload, item.Get(tag::kRequestPayload));
  OKMS_RETURN_IF_ERROR(request.payload.ExpectType(ttlv::Type::kStructure));
  return request;
}

void WriteResponse(const Response& item, Writer& writer) {
  if (item.operation) {
    writer.Enumeration(tag::kOperation, static_cast<uint32_t>(*item.operation));
  }
  if (!item.batch_item_id.empty()) writer.Bytes(tag::kUniqueBatchItemId, item.batch_item_id);
  writer.Enumeration(tag::kResultStatus, static_cast<uint32_t>(item.status));
  if (item.reason != ResultReason::kNone) {
    writer.Enumeration(tag::kResultReason, static_cast<uint32_t>(item.reason));
  }
  if (!item.message.empty()) writer.Text(tag::kResultMessage, item.message);
  if (item.payload) {
    writer.Raw(tag::kResponsePayload, ttlv::Type::kStructure, item.payload->value());
  }
}

absl::StatusOr<Response> ReadResponse(const Item& item) {
  Response response;
  OKMS_ASSIGN_OR_RETURN(response.operation, FindEnum<Operation>(item, tag::kOperation));
  OKMS_ASSIGN_OR_RETURN(response.batch_item_id, FindBatchItemId(item));
  OKMS_ASSIGN_OR_RETURN(const auto status, FindEnum<ResultStatus>(item, tag::kResultStatus));
  if (!status) return absl::DataLossError("KMIP response without a result status");
  response.status = *status;
  OKMS_ASSIGN_OR_RETURN(const auto reason, FindEnum<ResultReason>(item, tag::kResultReason));
  response.reason = reason.value_or(ResultReason::kNone);
  OKMS_ASSIGN_OR_RETURN(const auto words, item.Find(tag::kResultMessage));
  if (words) {
    OKMS_ASSIGN_OR_RETURN(const absl::string_view text, words->AsText());
    response.message = std::string(text);
  }
  OKMS_ASSIGN_OR_RETURN(response.payload, item.Find(tag::kResponsePayload));
  if (response.payload) {
    OKMS_RETURN_IF_ERROR(response.payload->ExpectType(ttlv::Type::kStructure));
  }
  return response;
}

}  // namespace

WipedBytes Request::Encode(ProtocolVersion version, std::span<const RequestItem> items) {
  Writer writer;
  writer.Structure(tag::kRequestMessage, [&] {
    writer.Structure(tag::kRequestHeader, [&] {
      version.Write(writer);
      if (items.size() > 1) {
        writer.Enumeration(tag::kBatchErrorContinuationOption,
                           static_cast<uint32_t>(OnBatchError::kContinue));
      }
      writer.Integer(tag::kBatchCount, static_cast<int32_t>(items.size()));
    });
    for (const RequestItem& item : items) {
      writer.Structure(tag::kBatchItem, [&] {
        writer.Enumeration(tag::kOperation, static_cast<uint32_t>(item.operation));
        if (!item.batch_item_id.empty()) writer.Bytes(tag::kUniqueBatchItemId, item.batch_item_id);
        writer.Structure(tag::kRequestPayload, [&] { item.payload(writer); });
      });
    }
  });
  return writer.Take();
}

absl::StatusOr<std::vector<Request>> Request::Decode(ByteView message, std::size_t most) {
  OKMS_ASSIGN_OR_RETURN(const Envelope envelope,
                        OpenEnvelope(message, tag::kRequestMessage, tag::kRequestHeader, most));
  OKMS_ASSIGN_OR_RETURN(
      const auto on_error,
      FindEnum<OnBatchError>(envelope.header, tag::kBatchErrorContinuationOption));
  std::vector<Request> requests;
  for (const Item& item : envelope.items) {
    OKMS_ASSIGN_OR_RETURN(Request request, ReadRequest(item));
    request.version = envelope.version;
    request.on_error = on_error.value_or(OnBatchError::kStop);
    requests.push_back(request);
  }
  return requests;
}

WipedBytes Response::Encode(std::span<const Response> items, int64_t time_stamp) {
  Writer writer;
  writer.Structure(tag::kResponseMessage, [&] {
    writer.Structure(tag::kResponseHeader, [&] {
      items.front().version.Write(writer);
      writer.DateTime(tag::kTimeStamp, time_stamp);
      writer.Integer(tag::kBatchCount, static_cast<int32_t>(items.size()));
    });
    for (const Response& item : items) {
      writer.Structure(tag::kBatchItem, [&] { WriteResponse(item, writer); });
    }
  });
  return writer.Take();
}

WipedBytes Response::Encode(const Response& header, int64_t time_stamp, PayloadWriter payload) {
  Response item = header;
  Writer writer;
  WipedBytes written;
  item.payload.reset();
  if (header.status == ResultStatus::kSuccess) {
    writer.Structure(tag::kResponsePayload, [&] { payload(writer); });
    written = writer.Take();
    if (auto parsed = ttlv::Parse(written); parsed.ok()) item.payload = *parsed;
  }
  return Encode({&item, 1}, time_stamp);
}

absl::StatusOr<std::vector<Response>> Response::Decode(ByteView message, std::size_t most) {
  OKMS_ASSIGN_OR_RETURN(const Envelope envelope,
                        OpenEnvelope(message, tag::kResponseMessage, tag::kResponseHeader, most));
  const std::optional<int64_t> time_stamp = FindTimeStamp(envelope.header);
  std::vector<Response> responses;
  for (const Item& item : envelope.items) {
    OKMS_ASSIGN_OR_RETURN(Response response, ReadResponse(item));
    response.version = envelope.version;
    response.time_stamp = time_stamp;
    responses.push_back(std::move(response));
  }
  return responses;
}

absl::StatusOr<Item> Response::Payload(Operation wanted) const {
  const auto malformed = [&](absl::string_view why) {
    return absl::DataLossError(absl::StrCat("KMIP ", ToString(wanted), ": ", why));
  };
  switch (status) {
    case ResultStatus::kSuccess: break;
    case ResultStatus::kFailed: return RefusalStatus(wanted, reason, message);
    case ResultStatus::kPending:
      return malformed("the KMS answers later, which we did not ask for");
    case ResultStatus::kUndone: return RefusalStatus(wanted, reason, "undone by the KMS");
    default:
      return malformed(absl::StrCat("unknown result status ", static_cast<uint32_t>(status)));
  }
  // Servers answer in a minor version of their choice. Who offers others may do so in any.
  if (version.major != 1 && wanted != Operation::kDiscoverVersions) {
    return malformed(absl::StrCat("the reply is in version ", version.ToString()));
  }
  if (!operation) return malformed("success without naming the operation");
  if (*operation != wanted) {
    return malformed(absl::StrCat("this is the reply to another request: ", ToString(*operation)));
  }
  if (!payload) return malformed("success without a payload");
  return *payload;
}

absl::Status RefusalStatus(Operation operation, ResultReason reason, absl::string_view message) {
  return absl::Status(CodeOf(reason),
                      absl::StrCat("KMIP ", ToString(operation), " refused: ", ToString(reason),
                                   message.empty() ? "" : ": ", Printable(message)));
}

}  // namespace okms::kmip
