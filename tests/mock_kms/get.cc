// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "mock_kms/get.h"

#include <array>

#include "kmip/enums.h"

namespace okms::test {
namespace {

constexpr ttlv::Tag kCryptographicLength = 0x42002A;
constexpr ttlv::Tag kKeyBlock = 0x420040;
constexpr ttlv::Tag kKeyFormatType = 0x420042;
constexpr ttlv::Tag kKeyMaterial = 0x420043;
constexpr ttlv::Tag kKeyValue = 0x420045;
constexpr ttlv::Tag kObjectType = 0x420057;
constexpr ttlv::Tag kSymmetricKey = 0x42008F;
constexpr uint32_t kRaw = 1;  // a Key Format Type
constexpr std::array<uint8_t, 32> kZeros{};

}  // namespace

WipedBytes AnswerGet(kmip::ProtocolVersion version, ByteView batch_item_id,
                     const ttlv::Item& payload) {
  ttlv::Writer writer;
  writer.Structure(kmip::tag::kResponseMessage, [&] {
    writer.Structure(kmip::tag::kResponseHeader, [&] {
      version.Write(writer);
      writer.DateTime(kmip::tag::kTimeStamp, 0);
      writer.Integer(kmip::tag::kBatchCount, 1);
    });
    writer.Structure(kmip::tag::kBatchItem, [&] {
      writer.Enumeration(kmip::tag::kOperation, kGet);
      if (!batch_item_id.empty()) writer.Bytes(kmip::tag::kUniqueBatchItemId, batch_item_id);
      writer.Enumeration(kmip::tag::kResultStatus, 0);
      writer.Structure(kmip::tag::kResponsePayload, [&] {
        writer.Enumeration(kObjectType, static_cast<uint32_t>(kmip::ObjectType::kSymmetricKey));
        for (const ttlv::Item& field : payload.children()) {
          if (field.tag() == kmip::tag::kUniqueIdentifier) {
            writer.Raw(field.tag(), field.type(), field.value());
          }
        }
        writer.Structure(kSymmetricKey, [&] {
          writer.Structure(kKeyBlock, [&] {
            writer.Enumeration(kKeyFormatType, kRaw);
            writer.Structure(kKeyValue, [&] { writer.Bytes(kKeyMaterial, kZeros); });
            writer.Enumeration(kmip::tag::kCryptographicAlgorithm,
                               static_cast<uint32_t>(kmip::CryptographicAlgorithm::kAes));
            writer.Integer(kCryptographicLength, 256);
          });
        });
      });
    });
  });
  return writer.Take();
}

}  // namespace okms::test
