//===- ElementsTest.cpp --------------------------------------- -*- C++ -*-===//
//
// Conversions of arrays against the scalar ones.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/Elements.h"

#include "lowbit/Numerics/Float.h"
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <vector>

using namespace lowbit;

TEST(Elements, WidenEveryBitPatternAlsoUnaligned) {
  std::vector<unsigned char> bytes(2 * 65536 + 1);
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    bytes[2 * bits + 1] = static_cast<unsigned char>(bits);
    bytes[2 * bits + 2] = static_cast<unsigned char>(bits >> 8);
  }
  std::vector<float> f16(65536), bf16(65536);
  widenElements(ElementType::F16, bytes.data() + 1, 65536, f16.data());
  widenElements(ElementType::BF16, bytes.data() + 1, 65536, bf16.data());
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    uint16_t half = static_cast<uint16_t>(bits);
    ASSERT_EQ(floatToBits(f16[bits]), floatToBits(f16ToFloat(half)));
    ASSERT_EQ(floatToBits(bf16[bits]), floatToBits(bf16ToFloat(half)));
  }
}

TEST(Elements, F32IsCopied) {
  float values[3] = {1.5f, -0.0f, bitsToFloat(0x7F800001u)}, copy[3];
  widenElements(ElementType::F32, values, 3, copy);
  EXPECT_EQ(std::memcmp(values, copy, sizeof(values)), 0);
  widenElements(ElementType::F32, nullptr, 0, copy);
}

TEST(Elements, NarrowRoundsAndReportsTheFirstThatIsNotFinite) {
  float values[4] = {1.0f, 65519.0f, 65520.0f, 1e9f};
  uint16_t bits[4];
  EXPECT_EQ(narrowElements(ElementType::F16, values, 4, bits), 2);
  EXPECT_EQ(bits[0], 0x3C00);
  EXPECT_EQ(bits[1], 0x7BFF);
  EXPECT_EQ(bits[2], 0x7C00);
  EXPECT_EQ(narrowElements(ElementType::F16, values, 2, bits), -1);
  EXPECT_EQ(narrowElements(ElementType::BF16, values, 4, bits), -1);
  EXPECT_EQ(bits[0], 0x3F80);
  values[1] = std::numeric_limits<float>::quiet_NaN();
  float copy[4];
  EXPECT_EQ(narrowElements(ElementType::F32, values, 4, copy), 1);
  EXPECT_EQ(std::memcmp(values, copy, sizeof(values)), 0);
}
