// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "mock_kms/get.h"

#include <gtest/gtest.h>

#include <string>

#include "kmip/message.h"
#include "mock_kms/handler.h"

namespace okms::test {
namespace {

namespace tag = kmip::tag;

// A request for a key whose material is not zero.
kmip::Response Get(HandlerOptions options, WipedBytes& reply) {
  Handler handler(options);
  handler.Put({.id = "key", .name = "", .material = std::string(32, 'm')});
  ttlv::Writer writer;
  writer.Structure(tag::kRequestMessage, [&] {
    writer.Structure(tag::kRequestHeader, [&] {
      kmip::ProtocolVersion{1, 4}.Write(writer);
      writer.Integer(tag::kBatchCount, 1);
    });
    writer.Structure(tag::kBatchItem, [&] {
      writer.Enumeration(tag::kOperation, kGet);
      writer.Structure(tag::kRequestPayload, [&] { writer.Text(tag::kUniqueIdentifier, "key"); });
    });
  });
  reply = handler.Answer(writer.Take(), std::nullopt);
  return kmip::Response::Decode(reply)->front();
}

// The item that the path of tags leads to.
ttlv::Item At(ttlv::Item item, std::initializer_list<ttlv::Tag> path) {
  for (const ttlv::Tag step : path) item = *item.Get(step);
  return item;
}

TEST(GetTest, IsRefusedUnlessWanted) {
  WipedBytes reply;
  EXPECT_EQ(Get({}, reply).reason, kmip::ResultReason::kOperationNotSupported);
}

TEST(GetTest, AnswersWithAKeyOfZeros) {
  WipedBytes reply;
  const kmip::Response response = Get({.answer_get = true}, reply);
  ASSERT_EQ(response.status, kmip::ResultStatus::kSuccess);
  ASSERT_TRUE(response.payload);
  EXPECT_EQ(*At(*response.payload, {tag::kUniqueIdentifier}).AsText(), "key");
  // Symmetric Key, Key Block, Key Value, Key Material.
  const ttlv::Item material = At(*response.payload, {0x42008F, 0x420040, 0x420045, 0x420043});
  EXPECT_EQ(AsText(*material.AsBytes()), std::string(32, '\0'));
}

}  // namespace
}  // namespace okms::test
