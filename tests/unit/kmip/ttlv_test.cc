// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/ttlv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"
#include "unit/hex.h"

namespace okms::ttlv {
namespace {

using test::FromHex;
using test::IsOk;
using test::StatusIs;
using test::ToHex;
using ::testing::ElementsAre;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;

// An item in a buffer of its own.
struct Parsed {
  explicit Parsed(const std::string& hex) : bytes(FromHex(hex)), item(Parse(AsBytes(bytes))) {}
  const std::string bytes;
  const absl::StatusOr<Item> item;
};

std::string Written(const std::function<void(Writer&)>& write) {
  Writer writer;
  write(writer);
  return ToHex(writer.Take());
}

// The examples of KMIP 1.4 section 9.1.2.
struct Example {
  const char* name;
  const char* hex;
  Type type;
  std::function<void(Writer&)> write;
};

ByteView Bytes(const std::string& bytes) { return AsBytes(bytes); }

class SpecificationExample : public ::testing::TestWithParam<Example> {};

INSTANTIATE_TEST_SUITE_P(
    , SpecificationExample,
    ::testing::Values(
        Example{"Integer", "42002002000000040000000800000000", Type::kInteger,
                [](Writer& w) { w.Integer(0x420020, 8); }},
        Example{"LongInteger", "420020030000000801b69b4ba5749200", Type::kLongInteger,
                [](Writer& w) {
                  w.Raw(0x420020, Type::kLongInteger, Bytes(FromHex("01b69b4ba5749200")));
                }},
        Example{"BigInteger", "42002004000000100000000003fd35eb6bc2df4618080000", Type::kBigInteger,
                [](Writer& w) {
                  w.Raw(0x420020, Type::kBigInteger,
                        Bytes(FromHex("0000000003fd35eb6bc2df4618080000")));
                }},
        Example{"Enumeration", "4200200500000004000000ff00000000", Type::kEnumeration,
                [](Writer& w) { w.Enumeration(0x420020, 255); }},
        Example{"Boolean", "42002006000000080000000000000001", Type::kBoolean,
                [](Writer& w) { w.Boolean(0x420020, true); }},
        Example{"TextString", "420020070000000b48656c6c6f20576f726c640000000000", Type::kTextString,
                [](Writer& w) { w.Text(0x420020, "Hello World"); }},
        Example{"ByteString", "42002008000000030102030000000000", Type::kByteString,
                [](Writer& w) { w.Bytes(0x420020, Bytes("\x01\x02\x03")); }},
        Example{"DateTime", "42002009000000080000000047da67f8", Type::kDateTime,
                [](Writer& w) { w.DateTime(0x420020, 1205495800); }},
        Example{"Interval", "4200200a00000004000d2f0000000000", Type::kInterval,
                [](Writer& w) { w.Raw(0x420020, Type::kInterval, Bytes(FromHex("000d2f00"))); }},
        Example{"Structure",
                "42002001000000204200040500000004000000fe000000004200050200000004000000ff00000000",
                Type::kStructure,
                [](Writer& w) {
                  w.Structure(0x420020, [&] {
                    w.Enumeration(0x420004, 254);
                    w.Integer(0x420005, 255);
                  });
                }}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(SpecificationExample, IsWritten) { EXPECT_EQ(Written(GetParam().write), GetParam().hex); }

TEST_P(SpecificationExample, IsRead) {
  const Parsed parsed(GetParam().hex);
  ASSERT_THAT(parsed.item, IsOk());
  EXPECT_EQ(parsed.item->tag(), 0x420020u);
  EXPECT_EQ(parsed.item->type(), GetParam().type);
}

TEST_P(SpecificationExample, IsRefusedAtEveryShorterLength) {
  const std::string whole = FromHex(GetParam().hex);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of that size, so that a sanitizer sees a read beyond it.
    const std::string cut = whole.substr(0, size);
    EXPECT_THAT(Parse(AsBytes(cut)), StatusIs(kDataLoss, ::testing::StartsWith("malformed TTLV: ")))
        << size;
  }
}

TEST(Parse, ReadsValues) {
  EXPECT_EQ(*Parsed("42002002 00000004 0000000800000000").item->AsInteger(), 8);
  EXPECT_EQ(*Parsed("42002002 00000004 ffffffff00000000").item->AsInteger(), -1);
  EXPECT_EQ(*Parsed("42002002 00000004 8000000000000000").item->AsInteger(), INT32_MIN);
  EXPECT_EQ(*Parsed("42002005 00000004 ffffffff00000000").item->AsEnumeration(), UINT32_MAX);
  EXPECT_TRUE(*Parsed("42002006 00000008 0000000000000001").item->AsBoolean());
  EXPECT_FALSE(*Parsed("42002006 00000008 0000000000000000").item->AsBoolean());
  EXPECT_EQ(*Parsed("42002007 0000000b 48656c6c6f20576f726c640000000000").item->AsText(),
            "Hello World");
  EXPECT_EQ(ToHex(*Parsed("42002008 00000003 0102030000000000").item->AsBytes()), "010203");
}

TEST(Parse, ReadsTheChildrenOfAStructureInOrder) {
  const Parsed parsed(
      "42002001 00000030 42000405 00000004 000000fe00000000 42000502 00000004 000000ff00000000 "
      "42000407 00000000 42000408 00000000");
  ASSERT_THAT(parsed.item, IsOk());
  std::vector<Tag> tags;
  for (const Item child : parsed.item->children()) tags.push_back(child.tag());
  EXPECT_THAT(tags, ElementsAre(0x420004, 0x420005, 0x420004, 0x420004));
}

TEST(Parse, HasNoChildrenInAnythingButAStructure) {
  const Parsed parsed("42002008 00000010 42000405000000040000000100000000");
  ASSERT_THAT(parsed.item, IsOk());
  EXPECT_TRUE(parsed.item->children().begin() == parsed.item->children().end());
  EXPECT_EQ(*parsed.item->Find(0x420004), std::nullopt);
}

TEST(Parse, TakesEmptyStringsAndStructures) {
  EXPECT_EQ(*Parsed("42002007 00000000").item->AsText(), "");
  EXPECT_TRUE(Parsed("42002008 00000000").item->AsBytes()->empty());
  const Parsed empty("42002001 00000000");
  EXPECT_TRUE(empty.item->children().begin() == empty.item->children().end());
}

TEST(Parse, TakesStringsThatNeedNoPadding) {
  EXPECT_EQ(*Parsed("42002007 00000008 4142434445464748").item->AsText(), "ABCDEFGH");
  EXPECT_EQ(*Parsed("42002007 00000010 4142434445464748 4142434445464748").item->AsText(),
            "ABCDEFGHABCDEFGH");
}

TEST(Parse, DoesNotLookAtPadding) {
  EXPECT_EQ(*Parsed("42002007 00000001 41ffffffffffffff").item->AsText(), "A");
  EXPECT_EQ(*Parsed("42002002 00000004 00000008ffffffff").item->AsInteger(), 8);
}

TEST(Parse, ToleratesUnknownTagsAndTypes) {
  // A vendor's tag, and two types of later versions.
  const Parsed parsed(
      "42002001 00000040 54000102 00000004 0000000100000000 4202000b 00000008 0005b8d8aa2d0000 "
      "420201ff 00000003 0102030000000000 42000502 00000004 000000ff00000000");
  ASSERT_THAT(parsed.item, IsOk()) << parsed.item.status();
  EXPECT_EQ(*parsed.item->Get(0x540001)->AsInteger(), 1);
  EXPECT_EQ(static_cast<int>(parsed.item->Get(0x420200)->type()), 0x0b);
  EXPECT_EQ(ToHex(parsed.item->Get(0x420201)->value()), "010203");
  EXPECT_EQ(*parsed.item->Get(0x420005)->AsInteger(), 255);
}

struct Malformation {
  const char* name;
  std::string hex;
  std::string message;  // after "malformed TTLV: "
};

class Malformed : public ::testing::TestWithParam<Malformation> {};

std::string Nested(int levels) {
  std::string hex;
  for (int inner = levels - 1; inner >= 0; --inner) {
    hex += absl::StrCat("42002001", absl::Hex(inner * 8, absl::kZeroPad8));
  }
  return hex;
}

INSTANTIATE_TEST_SUITE_P(
    , Malformed,
    ::testing::Values(
        Malformation{"Nothing", "", "0 bytes, no room for an item header"},
        Malformation{"TruncatedHeader", "42002002 000000", "7 bytes, no room for an item header"},
        Malformation{"ChildWithoutItsValue", "42002001 00000008 42000502 00000004",
                     "item 0x420005 has length 4, but only 0 bytes are left"},
        Malformation{"StructureWithHalfAHeader", "42002001 00000004 42000502 00000000",
                     "item 0x420020 has length 4, not one of type 1"},
        Malformation{"LengthBeyondTheEnd", "42002002 00000004 00000008",
                     "item 0x420020 has length 4, but only 4 bytes are left"},
        Malformation{"LengthFarBeyondTheEnd", "42002008 ffffffff 0000000000000000",
                     "item 0x420020 has length 4294967295, but only 8 bytes are left"},
        Malformation{"PaddingBeyondTheEnd", "42002008 00000009 0000000000000000 00",
                     "item 0x420020 has length 9, but only 9 bytes are left"},
        Malformation{"ChildBeyondItsParent", "42002001 00000010 42000508 00000009 0000000000000000",
                     "item 0x420005 has length 9, but only 8 bytes are left"},
        Malformation{"TrailingByte", "42002002 00000004 0000000800000000 00",
                     "item 0x420020 is followed by 1 bytes that belong to nothing"},
        Malformation{"TrailingItem", "42002007 00000000 42002007 00000000",
                     "item 0x420020 is followed by 8 bytes that belong to nothing"},
        Malformation{"IntegerOfEightBytes", "42002002 00000008 0000000000000008",
                     "item 0x420020 has length 8, not one of type 2"},
        Malformation{"IntegerOfNoBytes", "42002002 00000000",
                     "item 0x420020 has length 0, not one of type 2"},
        Malformation{"LongIntegerOfFourBytes", "42002003 00000004 0000000000000008",
                     "item 0x420020 has length 4, not one of type 3"},
        Malformation{"BigIntegerOfFiveBytes", "42002004 00000005 0000000000000008",
                     "item 0x420020 has length 5, not one of type 4"},
        Malformation{"EnumerationOfTwoBytes", "42002005 00000002 0001000000000000",
                     "item 0x420020 has length 2, not one of type 5"},
        Malformation{"BooleanOfOneByte", "42002006 00000001 0100000000000000",
                     "item 0x420020 has length 1, not one of type 6"},
        Malformation{"DateTimeOfFourBytes", "42002009 00000004 0000000100000000",
                     "item 0x420020 has length 4, not one of type 9"},
        Malformation{"IntervalOfEightBytes", "4200200a 00000008 0000000100000000",
                     "item 0x420020 has length 8, not one of type 10"},
        Malformation{"BooleanTwo", "42002006 00000008 0000000000000002",
                     "item 0x420020 is a Boolean that is neither true nor false"},
        Malformation{"BooleanWithAHighBit", "42002006 00000008 0100000000000001",
                     "item 0x420020 is a Boolean that is neither true nor false"},
        Malformation{"BooleanTwoInAChild", "42002001 00000010 42000506 00000008 0000000000000002",
                     "item 0x420005 is a Boolean that is neither true nor false"},
        Malformation{"TooDeep", Nested(kMaxDepth + 1),
                     "item 0x420020 nests deeper than 32 levels"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(Malformed, IsRefusedWithItsReason) {
  EXPECT_THAT(Parsed(GetParam().hex).item,
              StatusIs(kDataLoss, absl::StrCat("malformed TTLV: ", GetParam().message)));
}

TEST(Parse, TakesTheDeepestNestingAllowed) { EXPECT_THAT(Parsed(Nested(kMaxDepth)).item, IsOk()); }

TEST(Parse, BoundsTheWholeSize) {
  // A byte string that fills a message of the largest size, and one of 8 bytes more.
  for (const std::size_t size : {kMaxMessageSize, kMaxMessageSize + 8}) {
    Writer writer;
    const std::vector<uint8_t> value(size - kHeaderSize);
    writer.Bytes(0x420020, value);
    const WipedBytes bytes = writer.Take();
    ASSERT_EQ(bytes.size(), size);
    if (size == kMaxMessageSize) {
      EXPECT_THAT(Parse(bytes), IsOk());
    } else {
      EXPECT_THAT(Parse(bytes), StatusIs(kDataLoss,
                                         "malformed TTLV: 1048584 bytes, the limit is "
                                         "1048576"));
    }
  }
}

TEST(Item, WrongTypeNamesBoth) {
  const Parsed text("42002007 00000001 4100000000000000");
  const std::string message = "malformed TTLV: item 0x420020 has type 7, expected ";
  EXPECT_THAT(text.item->AsInteger(), StatusIs(kDataLoss, message + "2"));
  EXPECT_THAT(text.item->AsEnumeration(), StatusIs(kDataLoss, message + "5"));
  EXPECT_THAT(text.item->AsBoolean(), StatusIs(kDataLoss, message + "6"));
  EXPECT_THAT(text.item->AsBytes(), StatusIs(kDataLoss, message + "8"));
  EXPECT_THAT(text.item->ExpectType(Type::kStructure), StatusIs(kDataLoss, message + "1"));
  EXPECT_THAT(text.item->ExpectType(Type::kTextString), IsOk());
  EXPECT_THAT(Parsed("42002008 00000000").item->AsText(),
              StatusIs(kDataLoss, "malformed TTLV: item 0x420020 has type 8, expected 7"));
}

TEST(Item, FindAndGetGoByTag) {
  const Parsed parsed(
      "42002001 00000030 42000405 00000004 000000fe00000000 42000502 00000004 000000ff00000000 "
      "42000405 00000004 0000000100000000");
  ASSERT_THAT(parsed.item, IsOk());
  EXPECT_EQ(*parsed.item->Get(0x420005)->AsInteger(), 255);
  EXPECT_EQ(*(*parsed.item->Find(0x420005))->AsInteger(), 255);
  EXPECT_EQ(*parsed.item->Find(0x420006), std::nullopt);
  EXPECT_THAT(parsed.item->Get(0x420006),
              StatusIs(kDataLoss, "malformed TTLV: item 0x420006 is missing in 0x420020"));
  const std::string twice = "malformed TTLV: item 0x420004 occurs more than once in 0x420020";
  EXPECT_THAT(parsed.item->Find(0x420004), StatusIs(kDataLoss, twice));
  EXPECT_THAT(parsed.item->Get(0x420004), StatusIs(kDataLoss, twice));
}

absl::StatusOr<std::size_t> SizeOf(const std::string& hex) {
  const std::string bytes = FromHex(hex);
  return MessageSize(AsBytes(bytes).first<kHeaderSize>());
}

TEST(MessageSize, CountsTheHeader) {
  EXPECT_EQ(*SizeOf("42007b01 00000000"), 8u);
  EXPECT_EQ(*SizeOf("42007b01 000000d0"), 216u);
  EXPECT_EQ(*SizeOf("42007b01 000ffff8"), kMaxMessageSize);
}

TEST(MessageSize, RefusesWhatIsTooLongOrNoStructure) {
  EXPECT_THAT(SizeOf("42007b01 00100000"),
              StatusIs(kDataLoss,
                       "malformed TTLV: item 0x42007b has length 1048576, the limit is "
                       "1048568"));
  EXPECT_THAT(SizeOf("42007b01 000ffff9"),
              StatusIs(kDataLoss,
                       "malformed TTLV: item 0x42007b has length 1048569, the limit is "
                       "1048568"));
  EXPECT_THAT(SizeOf("42007b01 ffffffff"),
              StatusIs(kDataLoss,
                       "malformed TTLV: item 0x42007b has length 4294967295, the limit "
                       "is 1048568"));
  EXPECT_THAT(SizeOf("42007b08 00000008"),
              StatusIs(kDataLoss, "malformed TTLV: item 0x42007b is not a message structure"));
  EXPECT_THAT(SizeOf("48545450 2f312e31"),  // "HTTP/1.1"
              StatusIs(kDataLoss, "malformed TTLV: item 0x485454 is not a message structure"));
}

TEST(TagText, HasSixDigits) {
  EXPECT_EQ(TagText(0x4200C2), "0x4200c2");
  EXPECT_EQ(TagText(0x000001), "0x000001");
}

TEST(Writer, PadsEveryStringLength) {
  for (std::size_t size = 0; size <= 24; ++size) {
    Writer writer;
    const std::string text(size, 'x');
    writer.Text(0x420020, text);
    const WipedBytes bytes = writer.Take();
    EXPECT_EQ(bytes.size(), kHeaderSize + (size + 7) / 8 * 8);
    const auto item = Parse(bytes);
    ASSERT_THAT(item, IsOk());
    EXPECT_EQ(*item->AsText(), text);
  }
}

TEST(Writer, WritesNegativeNumbersAsTwosComplement) {
  EXPECT_EQ(Written([](Writer& w) { w.Integer(0x420020, -2); }),
            "4200200200000004fffffffe00000000");
  EXPECT_EQ(Written([](Writer& w) { w.DateTime(0x420020, -1); }),
            "4200200900000008ffffffffffffffff");
  EXPECT_EQ(Written([](Writer& w) { w.Boolean(0x420020, false); }),
            "42002006000000080000000000000000");
}

TEST(Writer, NestsStructures) {
  EXPECT_EQ(Written([](Writer& w) {
              w.Structure(0x420001, [&] {
                w.Structure(0x420002, [&] { w.Text(0x420003, ""); });
                w.Structure(0x420004, [] {});
              });
            }),
            "420001010000001842000201000000084200030700000000"
            "4200040100000000");
}

}  // namespace
}  // namespace okms::ttlv
